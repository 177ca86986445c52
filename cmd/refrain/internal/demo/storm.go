package demo

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/payments"
)

// A storm sends operations to a URL while things go wrong.
type storm struct {
	url        string
	transport  http.RoundTripper
	operations []operation

	evidence Evidence
	started  atomic.Int64
	finished atomic.Int64

	mu    sync.Mutex
	first []time.Duration // of undisturbed first tries
	again []time.Duration // of asking again for what was answered before
}

// A heard is what the clients of one operation were told, one result for each that asked.
type heard []payments.Result

// blow sends all operations, each at its time, and returns what their clients were told.
func (s *storm) blow(ctx context.Context) []heard {
	told := make([]heard, len(s.operations))
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range s.operations {
		op := &s.operations[i]
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(begin.Add(op.start))):
		}
		s.started.Add(1)
		wg.Go(func() {
			defer s.finished.Add(1)
			told[i] = s.operate(ctx, op)
		})
	}
	wg.Wait()
	return told
}

// operate lets the clients of one operation pay for it.
func (s *storm) operate(ctx context.Context, op *operation) heard {
	told := make(heard, op.copies)
	sent := new(atomic.Int64)
	var wg sync.WaitGroup
	for i := range told {
		wire := &wire{base: s.transport, evidence: &s.evidence, sent: sent}
		if i == 0 {
			wire.fault, wire.after = op.fault, op.after
		}
		wg.Go(func() {
			var elapsed time.Duration
			told[i], elapsed = s.pay(ctx, op, wire)
			if op.fault == noFault && op.copies == 1 {
				s.note(&s.first, told[i], elapsed)
			}
		})
	}
	wg.Wait()
	if paid := slices.ContainsFunc(told, isPaid); paid && op.forgets {
		r, elapsed := s.pay(ctx, op, &wire{base: s.transport, evidence: &s.evidence, sent: sent})
		s.note(&s.again, r, elapsed)
		told = slices.Concat(told, heard{r})
	}
	return told
}

func isPaid(r payments.Result) bool { return r.Kind == payments.Paid }

func (s *storm) pay(ctx context.Context, op *operation, over *wire) (payments.Result, time.Duration) {
	client := payments.Client{URL: s.url, Transport: over}
	begin := time.Now()
	r := client.Pay(ctx, op.key, op.order)
	return r, time.Since(begin)
}

// note remembers how long a success at the first try took.
func (s *storm) note(list *[]time.Duration, r payments.Result, elapsed time.Duration) {
	if r.Kind != payments.Paid || r.Tries > 1 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	*list = append(*list, elapsed)
}
