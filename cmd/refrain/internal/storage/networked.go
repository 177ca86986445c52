package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/journal"
)

// A shared store is one that other processes use too.
type shared interface {
	refrain.Store
	refrain.Auditor
	// Secret returns the secret that was made with the store.
	Secret(ctx context.Context) ([]byte, error)
}

// Audit looks at what the promise of a shared store rests on, and changes nothing.
func Audit(ctx context.Context, cfg *config.Config) ([]refrain.Remark, error) {
	remarks, err := look(ctx, cfg.Store)
	if cfg.Secret != "" {
		remarks = append(remarks, secretRemark(cfg.Secret))
	}
	if err != nil {
		return remarks, fmt.Errorf("auditing the store %s: %w", cfg.Store, err)
	}
	return remarks, nil
}

// openShared opens a shared store. One on a server that does not answer is awaited.
func openShared(ctx context.Context, cfg *config.Config, log *slog.Logger) (*Storage, error) {
	kept, err := journal.Open(cfg.Journal)
	if errors.Is(err, journal.ErrInUse) {
		err = fmt.Errorf("%w, with the field journal of the file", err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", cfg.Store, err)
	}
	o := opener{cfg, log, kept}
	s, err := o.open(ctx)
	if err != nil && cfg.Store.Networked() && isOutage(err) {
		s, err = o.await(err)
	}
	if err != nil {
		return nil, errors.Join(err, kept.Close())
	}
	return s, nil
}

// An opener opens a shared store, as often as it is told to. The journal is this process's own, and open already.
type opener struct {
	cfg     *config.Config
	log     *slog.Logger
	journal *journal.Journal
}

// open opens the store. What is said meanwhile is told when it has opened: otherwise the error says what there is to say.
func (o opener) open(ctx context.Context) (_ *Storage, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("opening the store %s: %w", o.cfg.Store, err)
		}
	}()
	if o.cfg.Secret != "" {
		if _, err := readSecret(o.cfg.Secret); err != nil { // which is no less wrong while the store is away
			return nil, err
		}
	}
	said := &hush{Handler: o.log.Handler()}
	store, err := connect(ctx, o.cfg.Store, slog.New(said))
	if err != nil {
		return nil, err
	}
	secret, err := o.admit(ctx, store, slog.New(said))
	if err != nil {
		_ = store.Close()
		return nil, err
	}
	said.end()
	return &Storage{
		Store: store, guarded: newBreaker(store, o.log), Journal: o.journal, Secret: secret,
		close: []func() error{store.Close, o.journal.Close},
	}, nil
}

// admit returns the secret of a store that keeps its promise.
func (o opener) admit(ctx context.Context, store shared, log *slog.Logger) ([]byte, error) {
	if err := inspect(ctx, store, log); err != nil {
		return nil, err
	}
	made, err := store.Secret(ctx)
	if err != nil {
		return nil, err
	}
	if err := own(o.cfg.Journal, o.journal, made); err != nil {
		return nil, err
	}
	return sharedSecret(ctx, store, o.cfg.Secret)
}

// inspect refuses a store whose settings break its promise, and logs what could be better.
func inspect(ctx context.Context, store refrain.Auditor, log *slog.Logger) error {
	remarks, err := store.Audit(ctx)
	if err != nil {
		return fmt.Errorf("auditing it: %w", err)
	}
	var faults []string
	for _, r := range remarks {
		switch r.Grade {
		case refrain.GradeFault:
			faults = append(faults, r.Subject+": "+r.Text)
		case refrain.GradeWarn:
			log.Warn("store: "+r.Text, "about", r.Subject)
		case refrain.GradeOK:
		}
	}
	if len(faults) > 0 {
		return errors.New(strings.Join(faults, "; "))
	}
	return nil
}
