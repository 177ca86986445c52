package refrainhttp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/refrain-dev/refrain"
)

const (
	fromSequence   = "sequence"
	defaultWindow  = 1000
	sequenceMemory = 100 * 365 * 24 * time.Hour // for good, as far as every store can count
	// forgottenAtOnce is how many numbers are forgotten at once when the window has left them. Those that it jumps over are kept.
	forgottenAtOnce = 64
	sequenceMark    = "\x00sequence"
)

// A sequence says which numbers may still run: see Key.SequenceWindow.
type sequence struct {
	window uint64
}

// newSequence returns that of the policy, whose defaults are explicit, or nil.
func newSequence(p *Policy) (*sequence, error) {
	k := &p.Key
	switch {
	case !slices.ContainsFunc(k.From, isSequence):
		if k.SequenceWindow != 0 {
			return nil, errors.New("there is a window but no sequence; add sequence:NAME to from")
		}
		return nil, nil
	case len(k.From) > 1:
		return nil, errors.New("a sequence stands alone; remove the other places")
	case k.SequenceWindow < 1:
		return nil, fmt.Errorf("the window is %d; it must be positive", k.SequenceWindow)
	case k.Format != Lenient || k.MinLength != 1 || k.MaxLength != defaultKeyLength:
		return nil, errors.New("its numbers have a form of their own; remove format and lengths")
	case k.DeriveWindow != 0:
		return nil, errors.New("a derived key has no place in a sequence; remove one of them")
	case slices.Contains(p.Principal, "none"):
		return nil, errors.New("two callers may have the same number; name a principal to tell them apart")
	}
	return &sequence{window: uint64(k.SequenceWindow)}, nil
}

func isSequence(from string) bool { return strings.HasPrefix(from, fromSequence+":") }

// sequencePolicy returns the policy of operations whose key is a number. As long as a number is in the window, its record must
// tell that it ran: what is absent there did not. Its owner forgets it when the window has moved on.
func sequencePolicy(p refrain.Policy) refrain.Policy {
	p.Tombstone = sequenceMemory
	return p
}

// parseNumber returns a canonical decimal number, which has one spelling: that of its first use and of every retry.
func parseNumber(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err != nil || text[0] == '+' || text[0] == '0' && text != "0":
		return 0, errors.New("the number must be decimal digits, without a sign or leading zeros")
	case n > math.MaxInt64:
		return 0, fmt.Errorf("the number is greater than %d", math.MaxInt64)
	}
	return n, nil
}

// sequenceKey returns the number as a key. No client's key begins with a zero byte.
func sequenceKey(n uint64) string {
	var room [32]byte
	return string(strconv.AppendUint(append(room[:0], sequenceMark...), n, 10))
}

// printedKey returns a key as its client wrote it.
func printedKey(key string) string { return strings.TrimPrefix(key, sequenceMark) }

// admit says why an operation that the store lets run must not run all the same, problemNone if it may. Its number may be so
// old that its record is gone. It is asked after the claim: so whoever ran the number before had raised the mark before, and
// whoever forgot it had raised the floor before. A policy that is changed changes neither.
func (x *exchange) admit(a *refrain.Attempt) problemKind {
	s := x.plan.sequence
	if s == nil {
		return problemNone
	}
	k, err := s.judge(x, x.key.number)
	if err != nil {
		x.m.log.Error("request refused: the mark of its sequence is not known", "op", a.ID(), "route", x.plan.pattern, "err", err)
		k = problemUnavailable
	}
	if k != problemNone {
		_ = a.Release(x.request.Context()) // the guard logs what goes wrong
	}
	return k
}

func (s *sequence) judge(x *exchange, n uint64) (problemKind, error) {
	ctx, guard := x.request.Context(), x.m.guard
	scope := x.plan.scope.of(x.request, x.caller.principal)
	was, mark, err := guard.Raise(ctx, scope, n)
	switch {
	case err != nil:
		return problemNone, err
	case n+s.window <= mark:
		return problemPassed, nil
	case n < mark:
		if _, floor, err := guard.Raise(ctx, floorOf(scope), 0); err != nil || n < floor {
			return problemPassed, err
		}
	}
	if from, to := s.horizon(was), s.horizon(mark); from < to {
		go x.m.forget(scope, from, to)
	}
	return problemNone, nil
}

// horizon returns the number up to which all are forgotten when the mark is where it is. It moves in steps, so that the floor
// does too.
func (s *sequence) horizon(mark uint64) uint64 {
	if mark < s.window {
		return 0
	}
	return (mark - s.window) / forgottenAtOnce * forgottenAtOnce
}

// floorOf returns the scope of the mark below which numbers may be forgotten. No route has its name.
func floorOf(s refrain.Scope) refrain.Scope {
	s.Route += "\x00floor"
	return s
}

// forget forgets numbers that left the window, the newest ones before to.
func (m *Middleware) forget(scope refrain.Scope, from, to uint64) {
	ctx := context.Background()
	if _, _, err := m.guard.Raise(ctx, floorOf(scope), to); err != nil {
		m.log.Warn("numbers that left the window are kept", "route", scope.Route, "err", err)
		return
	}
	if to-from > forgottenAtOnce {
		from = to - forgottenAtOnce
	}
	for n := from; n < to; n++ {
		if err := m.guard.Forget(ctx, scope, sequenceKey(n)); err != nil {
			m.log.Warn("a number that left the window is kept", "route", scope.Route, "err", err)
		}
	}
}
