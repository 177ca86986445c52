package main

import (
	"testing"

	"github.com/refrain-dev/refrain/examples/orm/shop/shoptest"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	shoptest.SQLite(t, open)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	shoptest.Postgres(t, open)
}
