package refrain_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

type charge struct {
	ID     string
	Amount int64
}

// TestDo runs a function that ends in every way, and then once more.
func TestDo(t *testing.T) {
	t.Parallel()
	errDeclined := errors.New("declined")
	for _, test := range []struct {
		name   string
		fn     func(context.Context) (charge, error)
		first  error
		second error // nil when it replays or runs
		runs   int
	}{
		{"a result", func(context.Context) (charge, error) { return charge{"ch_1", 1 << 60}, nil }, nil, nil, 1},
		{"an error", func(context.Context) (charge, error) { return charge{}, errDeclined }, errDeclined, refrain.ErrUnknown, 1},
		{"not done", func(context.Context) (charge, error) {
			return charge{}, refrain.NotDone(errDeclined)
		}, errDeclined, errDeclined, 2},
		{"not done, wrapped", func(context.Context) (charge, error) {
			return charge{}, fmt.Errorf("charging: %w", refrain.NotDone(errDeclined))
		}, errDeclined, errDeclined, 2},
		{"not done, but nothing was wrong", func(context.Context) (charge, error) {
			return charge{"ch_1", 1 << 60}, refrain.NotDone(nil)
		}, nil, nil, 1},
		{"the end of its time", func(ctx context.Context) (charge, error) {
			<-ctx.Done()
			return charge{}, ctx.Err()
		}, context.DeadlineExceeded, refrain.ErrUnknown, 1},
		{"goexit", func(context.Context) (charge, error) {
			runtime.Goexit()
			return charge{}, nil
		}, refrain.ErrUnknown, refrain.ErrUnknown, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				g := guard(t, memstore.New(memstore.Config{}), refrain.Config{})
				runs := 0
				for _, want := range []error{test.first, test.second} {
					got, err := refrain.Do(t.Context(), g, operation("k"), func(ctx context.Context) (charge, error) {
						runs++
						return test.fn(ctx)
					})
					if !errors.Is(err, want) || (err == nil) != (want == nil) {
						t.Errorf("got error %v, want %v", err, want)
					}
					if ok := (charge{"ch_1", 1 << 60}); want == nil && got != ok {
						t.Errorf("got %+v, want %+v", got, ok)
					}
				}
				if runs != test.runs {
					t.Errorf("got %d runs, want %d", runs, test.runs)
				}
			})
		})
	}
}

// TestDoSaysWhyItDoesNotRun has one error for each verdict that gives no result.
func TestDoSaysWhyItDoesNotRun(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, memstore.New(memstore.Config{}), refrain.Config{Policy: refrain.Policy{Retention: time.Hour}})
		do := func(op refrain.Operation, want error) {
			t.Helper()
			_, err := refrain.Do(t.Context(), g, op, func(context.Context) (int, error) {
				t.Error("it ran")
				return 0, nil
			})
			if !errors.Is(err, want) {
				t.Errorf("got error %v, want %v", err, want)
			}
		}
		owner := begin(t, g, operation("k"), refrain.Run)
		do(operation("k"), refrain.ErrInFlight)
		other := operation("k")
		other.Fingerprint[0] = 1
		do(other, refrain.ErrMismatch)
		do(operation(""), refrain.ErrInvalidKey)
		finish(t, owner, "1")
		pass(time.Hour)
		do(operation("k"), refrain.ErrExpired)

		if err := begin(t, g, operation("omitted"), refrain.Run).Finish(t.Context(), refrain.Outcome{Omitted: true}); err != nil {
			t.Fatal(err)
		}
		do(operation("omitted"), refrain.ErrExpired)

		finish(t, begin(t, g, operation("other type"), refrain.Run), `"text"`)
		_, err := refrain.Do(t.Context(), g, operation("other type"), func(context.Context) (int, error) { return 0, nil })
		if err == nil || !strings.Contains(err.Error(), "decoding the recorded result") {
			t.Errorf("a result of another type: got error %v", err)
		}
	})
}

// TestDoPanics hands a panic on to the caller and leaves the operation unknown.
func TestDoPanics(t *testing.T) {
	t.Parallel()
	for name, fn := range map[string]func(context.Context) (any, error){
		"in the function":       func(context.Context) (any, error) { panic("boom") },
		"while it is encoded":   func(context.Context) (any, error) { return bomb{}, nil },
		"with a nil value":      func(context.Context) (any, error) { panic(nil) },
		"after the caller left": func(ctx context.Context) (any, error) { <-ctx.Done(); panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				g := guard(t, memstore.New(memstore.Config{}), refrain.Config{})
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				crash := func() (crash any) {
					defer func() { crash = recover() }()
					_, _ = refrain.Do(ctx, g, operation("k"), fn)
					return nil
				}()
				if left := ctx.Err() != nil; (crash == nil) != left {
					t.Errorf("got the panic %v, want one: %v", crash, !left)
				}
				pass(time.Hour)
				begin(t, g, operation("k"), refrain.Unknown)
				if n := g.Running(); n != 0 {
					t.Errorf("got %d attempts that run, want 0", n)
				}
			})
		})
	}
}

// bomb panics when it is encoded.
type bomb struct{}

func (bomb) MarshalJSON() ([]byte, error) { panic("boom") }

// TestDoWithAnUnencodableResult remembers that it is done.
func TestDoWithAnUnencodableResult(t *testing.T) {
	virtual(t, func(t *testing.T) {
		g := guard(t, memstore.New(memstore.Config{}), refrain.Config{})
		runs := 0
		fn := func(context.Context) (any, error) { runs++; return func() {}, nil }
		_, err := refrain.Do(t.Context(), g, operation("k"), fn)
		if err == nil || !strings.Contains(err.Error(), "encoding the result") {
			t.Errorf("got error %v, want one about the encoding", err)
		}
		if _, err := refrain.Do(t.Context(), g, operation("k"), fn); !errors.Is(err, refrain.ErrExpired) || runs != 1 {
			t.Errorf("got error %v after %d runs, want %v after 1", err, runs, refrain.ErrExpired)
		}
	})
}

// TestDoReturnsTheResultThatIsNotRecordedYet breaks the store while the function runs.
func TestDoReturnsTheResultThatIsNotRecordedYet(t *testing.T) {
	virtual(t, func(t *testing.T) {
		store := newFaulty()
		g := guard(t, store, refrain.Config{})
		got, err := refrain.Do(t.Context(), g, operation("k"), func(context.Context) (int, error) {
			store.fail(refuses)
			return 7, nil
		})
		if got != 7 || !errors.Is(err, refrain.ErrUnrecorded) {
			t.Errorf("got %d and error %v, want 7 and %v", got, err, refrain.ErrUnrecorded)
		}
		store.fail(works)
		pass(time.Minute)
		got, err = refrain.Do(t.Context(), g, operation("k"), func(context.Context) (int, error) { return 8, nil })
		if got != 7 || err != nil {
			t.Errorf("got %d and error %v, want 7 and none", got, err)
		}
	})
}
