package storage

import (
	"context"
	"log/slog"
	"sync"
)

// A hush keeps what is logged until it ends: what a store says of itself while it opens is worth telling if it does open.
type hush struct {
	slog.Handler

	mu    sync.Mutex
	kept  []slog.Record
	ended bool
}

// Handle implements slog.Handler.
func (h *hush) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return h.Handler.Handle(ctx, r)
	}
	h.kept = append(h.kept, r.Clone())
	return nil
}

// end tells what was kept, and from then on everything at once.
func (h *hush) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.kept {
		_ = h.Handler.Handle(context.Background(), r)
	}
	h.kept, h.ended = nil, true
}
