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

func openNetworked(ctx context.Context, cfg *config.Config, log *slog.Logger) (_ *Storage, err error) {
	s := &Storage{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("opening the store %s: %w", cfg.Store, err), s.Close())
		}
	}()
	store, err := connect(ctx, cfg.Store, log)
	if err != nil {
		return nil, err
	}
	s.Store, s.guarded = store, newBreaker(store, log)
	s.close = append(s.close, store.Close)
	if err := inspect(ctx, store, log); err != nil {
		return nil, err
	}
	if s.Secret, err = sharedSecret(ctx, store, cfg.Secret); err != nil {
		return nil, err
	}
	kept, err := journal.Open(cfg.Journal)
	if err != nil {
		return nil, err
	}
	s.Journal = kept
	s.close = append(s.close, kept.Close)
	return s, nil
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
