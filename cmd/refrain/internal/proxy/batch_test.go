package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A thief is a store in which all claims but the first to be renewed are lost.
type thief struct {
	refrain.Store
	spared atomic.Pointer[refrain.ID]
}

func (s *thief) Renew(ctx context.Context, r refrain.Renewal) error {
	if s.spared.CompareAndSwap(nil, &r.ID); *s.spared.Load() != r.ID {
		return refrain.ErrStale
	}
	return s.Store.Renew(ctx, r)
}

func batches() refrainhttp.Policy {
	return refrainhttp.Policy{
		Batch:     refrainhttp.Batch{Key: "/id"},
		Operation: refrain.Policy{Lease: 300 * time.Millisecond, Wait: -1},
	}
}

// The one request to the API ends when the claim of any item of its batch is lost: it must not go on beside a successor.
func TestABatchesRequestEndsWithAnyOfItsClaims(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Second):
			t.Error("the request goes on")
		}
	}))
	defer up.Close()
	target := startOn(t, up.URL, nil, &thief{Store: memstore.New(memstore.Config{})}, batches())
	if a := post(t, target, "", `[{"id":"a"},{"id":"b"},{"id":"c"}]`); a.status != http.StatusGatewayTimeout {
		t.Errorf("got %+v, want that it was not answered in time", a)
	}
}

// A batch of which nothing was sent did not happen: all its items run when the API is back.
func TestAnUnreachableUpstreamReleasesABatch(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	target := startOn(t, "http://"+l.Addr().String(), nil, memstore.New(memstore.Config{}), batches())
	for range 2 {
		a := post(t, target, "", `[{"id":"a"},{"id":"b"}]`)
		if a.status != http.StatusBadGateway || !strings.Contains(a.body, "upstream-unreachable") {
			t.Errorf("got %+v, want 502 upstream-unreachable, each time", a)
		}
		if lines := a.header["Idempotency-Status"]; len(lines) > 0 {
			t.Errorf("got the status %q of what never left, want none", lines)
		}
	}
}
