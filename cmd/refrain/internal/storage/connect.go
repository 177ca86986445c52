package storage

import (
	"context"
	"log/slog"
	"strings"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/mysqlstore"
	"github.com/refrain-dev/refrain/pgstore"
	"github.com/refrain-dev/refrain/redisstore"
	"github.com/refrain-dev/refrain/sqlitestore"
)

// connect opens the store that a shared store's URL names.
func connect(ctx context.Context, url config.Store, log *slog.Logger) (shared, error) {
	switch {
	case url.Scheme == "mysql":
		return mysqlstore.Open(ctx, url.URL, mysqlstore.Config{Logger: log})
	case strings.HasPrefix(url.Scheme, "postgres"):
		return pgstore.Open(ctx, url.URL, pgstore.Config{Logger: log})
	case strings.HasPrefix(url.Scheme, "redis"):
		return redisstore.Open(ctx, url.URL, redisstore.Config{Logger: log})
	}
	return sqlitestore.Open(ctx, fileOf(url), sqlitestore.Config{Logger: log})
}

// look audits a shared store that this process does not use, and changes nothing in it.
func look(ctx context.Context, url config.Store) ([]refrain.Remark, error) {
	switch {
	case strings.HasPrefix(url.Scheme, "redis"):
		return redisstore.Inspect(ctx, url.URL, redisstore.Config{})
	case url.Scheme == "sqlite":
		return sqlitestore.Inspect(ctx, fileOf(url))
	}
	s, err := connect(ctx, url, slog.New(slog.DiscardHandler)) // it makes no tables
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Audit(ctx)
}

// fileOf returns the file of a sqlite: URL.
func fileOf(url config.Store) string { return strings.TrimPrefix(url.URL, "sqlite:") }
