package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/payments"
)

// A stage is a payments API with a ledger of its own, which a storm blows against.
type stage struct {
	ledger *payments.Ledger
	api    *payments.API
	server *http.Server
	url    string
}

// newStage starts the API on a free port of the loopback interface, with its ledger at dir/name.ledger.
func newStage(dir, name string) (*stage, error) {
	ledger, err := payments.OpenLedger(filepath.Join(dir, name+".ledger"))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		_ = ledger.Close()
		return nil, fmt.Errorf("starting the payments API: %w", err)
	}
	s := &stage{ledger: ledger, api: payments.NewAPI(ledger, took), url: "http://" + listener.Addr().String()}
	s.server = &http.Server{Handler: s.api, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(listener) }() // ends at close
	return s, nil
}

// settle waits until the API works on nothing, so that its ledger is complete.
func (s *stage) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for s.api.InFlight() > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the payments API still works on %d orders: %w", s.api.InFlight(), ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// close ends the API. What is left of it goes with the demo's directory, so that errors matter to nobody.
func (s *stage) close() {
	_ = s.server.Close()
	_ = s.ledger.Close()
}
