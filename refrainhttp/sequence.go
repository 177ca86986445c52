package refrainhttp

import (
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
	forgottenAtOnce = 128
	// stepsInWindow is in how many steps the end of the window moves by a window: a step costs a write.
	stepsInWindow = 8
	sequenceMark  = "\x00sequence"
)

// A sequence says which numbers may still run: see Key.SequenceWindow.
type sequence struct {
	window, step uint64
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
	case k.inScope(p):
		return nil, errors.New("each number would be in a scope of its own; remove its field from the principal and the scope")
	}
	window := uint64(k.SequenceWindow)
	return &sequence{window: window, step: min(max(1, window/stepsInWindow), forgottenAtOnce)}, nil
}

// inScope reports whether the field with the number also says in which scope it is.
func (k *Key) inScope(p *Policy) bool {
	field := strings.TrimPrefix(k.From[0], fromSequence+":")
	is := func(name string) bool { return strings.EqualFold(name, field) }
	return slices.ContainsFunc(p.ScopeHeaders, is) || slices.ContainsFunc(p.Principal, func(s Source) bool {
		name, isHeader := strings.CutPrefix(string(s), fromHeader+":")
		return isHeader && is(name)
	})
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

// appendNumber appends the number as a key. No client's key begins with a zero byte.
func appendNumber(b []byte, n uint64) []byte {
	return strconv.AppendUint(append(b, sequenceMark...), n, 10)
}

// printedKey returns a key as its client wrote it.
func printedKey(key string) string { return strings.TrimPrefix(key, sequenceMark) }

// admit says why an operation that the store lets run must not run all the same, problemNone if it may. Its number or its time
// may be so old that its record is gone. It is asked after the claim: so whoever forgot the number had raised the mark above it
// before.
func (x *exchange) admit(a *refrain.Attempt) problemKind {
	k := x.stillInTime()
	if s := x.plan.sequence; s != nil && k == problemNone {
		var err error
		if k, err = s.judge(x, x.key.number); err != nil {
			x.m.log.Error("request refused: the mark of its sequence is not known", "op", a.ID(), "route", x.plan.pattern, "err", err)
			k = problemUnavailable
		}
	}
	if k != problemNone {
		_ = a.Release(x.request.Context()) // the guard logs what goes wrong
	}
	return k
}

// judge moves the end of the window to where the number, which is about to run, wants it. The mark of the scope is that end:
// the lowest number that may still run.
func (s *sequence) judge(x *exchange, n uint64) (problemKind, error) {
	was, end, err := x.m.guard.Raise(x.request.Context(), x.scope, s.end(n))
	switch {
	case err != nil:
		return problemNone, err
	case n < end:
		return problemPassed, nil
	case was < end:
		x.m.forget(x.scope, was, end)
	}
	return problemNone, nil
}

// end returns the lowest number that may still run when the greatest one is n. It moves in steps, and is a step too low at
// most.
func (s *sequence) end(n uint64) uint64 {
	if n < s.window {
		return 0
	}
	return (n - s.window + 1) / s.step * s.step
}

// forget forgets numbers that left the window when its end moved. The mark says that they have, so it may take its time: the
// newest stay a while, for retries and for those that still run.
func (m *Middleware) forget(scope refrain.Scope, from, to uint64) {
	from, to = from-min(from, forgottenAtOnce), to-min(to, forgottenAtOnce)
	if to-from > forgottenAtOnce {
		from = to - forgottenAtOnce
	}
	m.guard.Forget(scope, func(yield func([]byte) bool) {
		var room [32]byte
		for n, more := from, true; more && n < to; n++ {
			more = yield(appendNumber(room[:0], n))
		}
	})
}
