package storage

import (
	"context"
	"log/slog"
	"strings"

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
	return sqlitestore.Open(ctx, strings.TrimPrefix(url.URL, "sqlite:"), sqlitestore.Config{Logger: log})
}
