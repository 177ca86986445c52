package gateway

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A store whose disk hangs does not keep a process that was told to stop at once, and one that takes its time gets it.
func TestClosingTheStore(t *testing.T) {
	t.Parallel()
	errClosing := errors.New("the disk is broken")
	for name, c := range map[string]struct {
		takes, hurried time.Duration
		want           error
	}{
		"quick":              {0, time.Minute, errClosing},
		"slow":               {30 * time.Second, time.Minute, errClosing},
		"hurried":            {30*time.Second + closeGrace/2, 30 * time.Second, errClosing},
		"hangs":              {time.Hour, 30 * time.Second, errHurried},
		"hangs, and at once": {time.Hour, 0, errHurried},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				defer time.Sleep(c.takes) // until all have ended
				ctx, hurry := context.WithCancelCause(t.Context())
				defer time.AfterFunc(c.hurried, func() { hurry(errHurried) }).Stop()
				start := time.Now()
				err := within(ctx, func() error {
					time.Sleep(c.takes)
					return errClosing
				})
				if took := time.Since(start); !errors.Is(err, c.want) || took != min(c.takes, c.hurried+closeGrace) {
					t.Errorf("got %v after %v, want %v", err, took, c.want)
				}
			})
		})
	}
}
