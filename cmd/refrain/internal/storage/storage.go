// Package storage opens what a store's URL names: the store itself, and what lives beside it.
//
// The directory of an embedded store holds
//
//	store/            the database, locked by the process that uses it
//	outcomes.journal  outcomes that the database could not take yet
//	outcomes.store    which database that is
//	secret            what keys the hashes in the database, mode 0600
//
// A networked store has the secret itself, unless the operator gives one; its journal is in a folder of each process.
package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/memstore"
)

const storeName = "store"

// A Storage is an open store, the journal of what it could not take, and the secret of its hashes; or it stands for a store that
// is away.
type Storage struct {
	Store   refrain.Store
	Journal refrain.Journal // nil if the store is no more durable than the process, and while it is away
	Secret  []byte
	// Unrecorded is how many endings are in the journal of a store that is away.
	Unrecorded int

	guarded refrain.Store // if it is not the same as Store
	opened  chan *Storage // nil unless the store is away
	close   []func() error
}

// Open opens the store that the configuration names, and creates an embedded one if there is none. An embedded store is one
// process's at a time: the error says so when another has it. ctx bounds the time that a networked one may take; one that does
// not answer is away, and is tried again and again.
func Open(ctx context.Context, cfg *config.Config, log *slog.Logger) (*Storage, error) {
	switch {
	case cfg.Store.Shared():
		return openShared(ctx, cfg, log)
	case cfg.Store.Scheme == "memory":
		store := memstore.New(memstore.Config{})
		return &Storage{Store: store, Secret: newSecret(), close: []func() error{store.Close}}, nil
	}
	return openPebble(cfg.Store.Dir, log)
}

// Away returns nil, or, of a store that is away, where the open one comes: it takes the place of s, which is not closed then.
func (s *Storage) Away() <-chan *Storage { return s.opened }

// Guarded returns the store as a Guard should use it: one that has not answered lately refuses at once.
func (s *Storage) Guarded() refrain.Store {
	if s.guarded != nil {
		return s.guarded
	}
	return s.Store
}

// Tier returns how strong the store's promise is.
func (s *Storage) Tier() refrain.Tier {
	if t, ok := s.Store.(refrain.Tiered); ok {
		return t.Tier()
	}
	return refrain.TierVolatile
}

// Close closes the store, then the journal.
func (s *Storage) Close() error {
	var errs []error
	for _, c := range s.close {
		errs = append(errs, c())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// Ready returns why the store cannot take claims, or nil.
func (s *Storage) Ready(ctx context.Context) error {
	if h, ok := s.Store.(interface{ Err() error }); ok && h.Err() != nil {
		return h.Err()
	}
	_, err := s.Guarded().Get(ctx, refrain.ID{})
	return err
}
