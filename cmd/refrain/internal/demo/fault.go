package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// Evidence counts what really happened to the requests of a storm.
type Evidence struct {
	Sent       atomic.Int64 // requests that left whole
	HangUps    atomic.Int64 // connections cut after the request was sent, before the answer came
	Lost       atomic.Int64 // answers that came and were cut before they were read
	Timeouts   atomic.Int64 // tries that clients gave up waiting for
	Broken     atomic.Int64 // requests in flight whose connection broke by no fault of the plan: by the outage
	Duplicates atomic.Int64 // requests sent for an operation that had been sent before
}

// errPlanned is what a client sees of a planned fault.
var errPlanned = errors.New("connection cut")

// A wire carries the requests of one client, and spoils the first of them as planned.
type wire struct {
	base     http.RoundTripper
	evidence *Evidence
	sent     *atomic.Int64 // of the operation
	fault    fault
	after    time.Duration
}

// RoundTrip implements http.RoundTripper. The answer is read whole before it returns.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	f := w.fault
	w.fault = noFault
	t := &try{fault: f, after: w.after, wire: w}
	return t.roundTrip(req)
}

// A try is one request on a wire.
type try struct {
	*wire
	fault fault
	after time.Duration

	mu     sync.Mutex
	timer  *time.Timer
	left   bool // the request has left whole
	cut    bool // by the fault
	cancel context.CancelFunc
}

func (t *try) roundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	t.cancel = cancel
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: t.wrote})
	if t.fault == impatience {
		t.arm()
	}
	defer t.disarm()
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, t.explain(req.Context(), err)
	}
	defer resp.Body.Close()
	if t.fault == answerLost {
		t.evidence.Lost.Add(1)
		return nil, fmt.Errorf("%w before the answer was read", errPlanned)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, t.explain(req.Context(), err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// wrote is told that the request has left.
func (t *try) wrote(info httptrace.WroteRequestInfo) {
	if info.Err != nil {
		return
	}
	t.mu.Lock()
	t.left = true
	t.mu.Unlock()
	t.evidence.Sent.Add(1)
	if t.sent.Add(1) > 1 {
		t.evidence.Duplicates.Add(1)
	}
	if t.fault == hangUp {
		t.arm()
	}
}

// arm starts the time until the connection is cut.
func (t *try) arm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = time.AfterFunc(t.after, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.cut = true
		t.cancel()
	})
}

func (t *try) disarm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
	}
}

// explain counts an error by its cause.
func (t *try) explain(ctx context.Context, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.cut && t.left && t.fault == hangUp:
		t.evidence.HangUps.Add(1)
	case t.cut && t.left:
		t.evidence.Timeouts.Add(1)
	case !t.cut && t.left && ctx.Err() == nil:
		t.evidence.Broken.Add(1)
	}
	if t.cut {
		return fmt.Errorf("%w before the answer came", errPlanned)
	}
	return err
}
