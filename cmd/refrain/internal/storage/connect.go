package storage

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
)

// connect opens the store that a networked store's URL names.
func connect(_ context.Context, url config.Store, _ *slog.Logger) (shared, error) {
	return nil, fmt.Errorf("no store of scheme %s", url.Scheme)
}
