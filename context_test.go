package refrain

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

type ctxKey struct{}

// TestLimitedContext compares a limitedContext with what it stands for, in every order of asking and ending.
func TestLimitedContext(t *testing.T) {
	t.Parallel()
	ways := map[string]func(parent context.Context, deadline time.Time) (context.Context, func()){
		"standard": func(parent context.Context, deadline time.Time) (context.Context, func()) {
			ctx, cancel := context.WithDeadline(context.WithoutCancel(parent), deadline)
			return ctx, cancel
		},
		"limited": func(parent context.Context, deadline time.Time) (context.Context, func()) {
			ctx := &limitedContext{parent: parent, deadline: deadline}
			return ctx, ctx.end
		},
	}
	for name, way := range ways {
		for _, asked := range []bool{false, true} { // for Done, before anything happens
			synctest.Test(t, func(t *testing.T) {
				parent, leave := context.WithCancelCause(context.WithValue(t.Context(), ctxKey{}, "value"))
				start := func() (context.Context, func()) {
					ctx, end := way(parent, time.Now().Add(time.Second))
					if asked {
						ctx.Done()
					}
					return ctx, end
				}
				check := func(ctx context.Context, what string, want error) {
					t.Helper()
					if err := ctx.Err(); !errors.Is(err, want) || context.Cause(ctx) != err {
						t.Errorf("%s, asked %t, %s: got error %v and cause %v, want %v", name, asked, what, err, context.Cause(ctx), want)
					}
					select {
					case <-ctx.Done():
						if want == nil {
							t.Errorf("%s, asked %t, %s: it is done", name, asked, what)
						}
					default:
						if want != nil {
							t.Errorf("%s, asked %t, %s: it is not done", name, asked, what)
						}
					}
				}
				ended, end := start()
				lasting, endLasting := start()
				defer endLasting()
				child, endChild := context.WithCancel(lasting)
				defer endChild()
				leave(errors.New("hung up"))
				check(lasting, "when its parent has ended", nil)
				if v := lasting.Value(ctxKey{}); v != "value" {
					t.Errorf("%s: got value %v", name, v)
				}
				end()
				check(ended, "when ended", context.Canceled)
				<-time.After(time.Second)
				synctest.Wait()
				check(lasting, "at its deadline", context.DeadlineExceeded)
				check(child, "a child, at the deadline", context.DeadlineExceeded)
				check(ended, "when ended and past its deadline", context.Canceled)
				endLasting()
				check(lasting, "when ended after its deadline", context.DeadlineExceeded)
			})
		}
	}
}
