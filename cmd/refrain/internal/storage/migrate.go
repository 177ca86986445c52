package storage

import (
	"context"
	"fmt"
	"strings"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/mysqlstore"
	"github.com/refrain-dev/refrain/pgstore"
)

// A Schema is that of a store in a SQL database.
type Schema struct {
	// Version is the one that this program needs.
	Version int
	// MigrateTo brings the database to a version, upwards or back.
	MigrateTo func(ctx context.Context, version int) error
}

// SchemaOf returns the schema of the store that the URL names, or an error if such stores have none.
func SchemaOf(url config.Store) (Schema, error) {
	switch {
	case url.Scheme == "mysql":
		return Schema{Version: mysqlstore.Version, MigrateTo: func(ctx context.Context, version int) error {
			return mysqlstore.MigrateTo(ctx, url.URL, version)
		}}, nil
	case strings.HasPrefix(url.Scheme, "postgres"):
		return Schema{Version: pgstore.Version, MigrateTo: func(ctx context.Context, version int) error {
			return pgstore.MigrateTo(ctx, url.URL, "", version)
		}}, nil
	}
	return Schema{}, fmt.Errorf("a store of scheme %s has no schema; postgres:// and mysql:// have", url.Scheme)
}
