package refrain

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestCallContext makes calls for a while: each has its parent's values but not its end, and ends in time, whatever was derived
// from it.
func TestCallContext(t *testing.T) {
	t.Parallel()
	const limit = 16 * time.Second
	synctest.Test(t, func(t *testing.T) {
		calls := deadlines{limit: limit}
		distinct := map[time.Time]bool{}
		type call struct {
			context.Context
			child context.Context
			began time.Time
		}
		var all []call
		for range 100 {
			parent, leave := context.WithCancelCause(context.WithValue(t.Context(), ctxKey{}, "value"))
			c := call{Context: calls.context(parent), began: time.Now()}
			leave(errors.New("hung up"))
			var cancel context.CancelFunc
			c.child, cancel = context.WithCancel(c)
			defer cancel()
			if c.Err() != nil || c.child.Err() != nil || c.Value(ctxKey{}) != "value" {
				t.Fatalf("when its parent has ended: got error %v, value %v", c.Err(), c.Value(ctxKey{}))
			}
			end, ok := c.Deadline()
			if took := end.Sub(c.began); !ok || took > limit || took < limit-limit/16 {
				t.Fatalf("it may take %s, want about %s and no more", took, limit)
			}
			distinct[end] = true
			all = append(all, c)
			<-time.After(limit / 160)
		}
		if n := len(distinct); n > 10 {
			t.Errorf("100 calls within ten sixteenths had %d deadlines", n)
		}
		<-time.After(limit)
		synctest.Wait()
		for _, c := range all {
			for _, ctx := range []context.Context{c, c.child} {
				if <-ctx.Done(); !errors.Is(ctx.Err(), context.DeadlineExceeded) || context.Cause(ctx) != ctx.Err() {
					t.Fatalf("at its deadline: got error %v and cause %v", ctx.Err(), context.Cause(ctx))
				}
			}
		}
	})
}
