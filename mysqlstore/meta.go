package mysqlstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// The names in refrain_meta.
const (
	metaIdentity = "identity" // random: tells this store from any other
	metaSecret   = "secret"
)

// identify makes the store's identity and its secret, unless it has them, and learns the identity.
func (s *Store) identify(ctx context.Context) error {
	id, err := s.meta(ctx, metaIdentity)
	if err != nil {
		return err
	}
	s.identity = hex.EncodeToString(id)
	_, err = s.meta(ctx, metaSecret)
	return err
}

// Secret returns 32 random bytes that were made with the store: all processes on it get the same, to key the hashes of their
// operations with.
func (s *Store) Secret(ctx context.Context) ([]byte, error) {
	if err := s.enter(); err != nil {
		return nil, fmt.Errorf("reading the secret: %w", err)
	}
	defer s.leave()
	secret, err := s.meta(ctx, metaSecret)
	if err != nil {
		return nil, fmt.Errorf("reading the secret: %w", unavailable(err))
	}
	return secret, nil
}

// meta returns 32 bytes that are kept under a name. The first who asks makes them, at random.
func (s *Store) meta(ctx context.Context, name string) (value []byte, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never fails since Go 1.24
	if _, err := s.db.ExecContext(ctx, "INSERT IGNORE INTO refrain_meta (name, value) VALUES (?, ?)", name, fresh); err != nil {
		return nil, err
	}
	err = s.db.QueryRowContext(ctx, "SELECT value FROM refrain_meta WHERE name = ?", name).Scan(&value)
	if err == nil && len(value) != len(fresh) {
		err = fmt.Errorf("the store's %s has %d bytes, want %d", name, len(value), len(fresh))
	}
	return value, err
}
