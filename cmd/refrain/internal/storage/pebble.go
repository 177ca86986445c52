package storage

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/refrain-dev/refrain/journal"
	"github.com/refrain-dev/refrain/pebblestore"
)

// openPebble opens the embedded store in dir: first the database, whose lock covers the journal too.
func openPebble(dir string, log *slog.Logger) (*Storage, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	secret, err := loadSecret(dir)
	if err != nil {
		return nil, err
	}
	store, err := pebblestore.Open(filepath.Join(dir, storeName), pebblestore.Config{Logger: log})
	if err != nil {
		return nil, err
	}
	kept, err := journal.Open(dir)
	if err != nil {
		_ = store.Close()
		return nil, err
	}
	if err := own(dir, kept, secret); err != nil {
		return nil, errors.Join(err, store.Close(), kept.Close())
	}
	return &Storage{Store: store, Journal: kept, Secret: secret, close: []func() error{store.Close, kept.Close}}, nil
}
