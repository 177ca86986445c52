package refrainhttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// An upstream that answers in another order would have one item recorded with the other's outcome.
func TestAnswersInAnotherOrderTellNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(batched()), func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"results":[{"id":"bb","status":422},{"id":"a","status":201}]}`)
	})
	s.do(transfers("a", "bb"))
	if got := s.do(transfers("a")); got.problem().Code != "outcome-unknown" {
		t.Errorf("got %s, want that nobody knows", got)
	}
	s.ran(1)
}

// What an answer has where an item has its key may be the ID of what was created.
func TestAnswersWithIDsOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(batched()), func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"results":[{"id":"tr_1","status":201},{"id":"tr_2","status":201}]}`)
	})
	s.do(transfers("a", "bb"))
	if got := s.do(transfers("bb")); answersOf(t, got.body) != "tr_2=201" {
		t.Errorf("got %s, want the second answer", got)
	}
	s.ran(1)
}

// A batch that only its API can read would run whole, each time.
func TestSealedBatchesAreRefused(t *testing.T) {
	t.Parallel()
	b := newBank()
	s := newSite(t, oneRoute(batched()), b.ServeHTTP)
	coded := transfers("a").with("Content-Encoding", "gzip")
	coded.body = "\x1f\x8b\x08"
	marked := transfers("a")
	marked.body = "\ufeff" + marked.body
	for _, a := range []ask{coded, marked} {
		if got := s.do(a); got.code != http.StatusBadRequest || got.problem().Code != "key-invalid" {
			t.Errorf("got %s, want a refusal", got)
		}
	}
	s.ran(0)
}

// The one request of a batch ends when the claim of any of its items is lost, and with the first of their deadlines.
func TestABatchEndsWithAnyOfItsClaims(t *testing.T) {
	t.Parallel()
	p := batched()
	p.Operation.Lease = 300 * time.Millisecond
	var s *site
	s = newSite(t, oneRoute(p), func(w http.ResponseWriter, r *http.Request) {
		own := refrain.FromContext(r.Context()).ID()
		s.store.only.Store(&own)
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Second):
			t.Error("the request goes on, without the claims of all but one of its items")
		}
		w.WriteHeader(http.StatusBadGateway)
	})
	if got := s.do(transfers("a", "b", "c")); got.code != http.StatusBadGateway {
		t.Errorf("got %s, want the handler's answer", got)
	}
}

// The API is told of no attempt of an item, so that it has none of that name.
func TestProbesOfBatchesNameTheKey(t *testing.T) {
	t.Parallel()
	p := batched()
	p.Operation.Unknown = refrain.Probe
	p.Probe = refrainhttp.Probe{
		URL: "/x?a=${attempt}", Base: "http://127.0.0.1:1", Happened: refrainhttp.Expectation{Status: []string{"200"}},
	}
	if err := p.ValidateProbe(""); err == nil || !strings.Contains(err.Error(), "${key}") {
		t.Errorf("got %v, want the remedy", err)
	}
	p.Probe.URL = "/x?k=${key}"
	if err := p.ValidateProbe(""); err != nil {
		t.Error(err)
	}
	p.Probe.Answer = refrainhttp.ReplayProbe
	if err := p.ValidateProbe(""); err == nil || !strings.Contains(err.Error(), "tombstone") {
		t.Errorf("got %v, want the remedy", err)
	}
}

// TestItemsAreAskedAboutTogether when the owner of them all is gone: whoever waits for them waits for one probe, not one after the
// other. None is answered before all have come.
func TestItemsAreAskedAboutTogether(t *testing.T) {
	t.Parallel()
	var missing sync.WaitGroup
	missing.Add(3)
	c := newClerk(t, func(http.ResponseWriter, *http.Request) {
		missing.Done()
		missing.Wait()
	})
	p := batched()
	p.Operation = refrain.Policy{
		Unknown: refrain.Probe, Quiet: -1, Lease: time.Second, Wait: time.Minute, ProbeTimeout: 20 * time.Second,
	}
	p.Probe = refrainhttp.Probe{URL: "/x?k=${key}", Base: c.URL, Happened: refrainhttp.Expectation{Status: []string{"200"}}}
	runs, gone := make(chan struct{}), make(chan struct{})
	s := newSite(t, oneRoute(p), func(http.ResponseWriter, *http.Request) {
		close(runs)
		<-gone
	})
	s.store.only.Store(&refrain.ID{}) // nothing is renewed
	go s.try(t.Context(), transfers("a", "b", "c"))
	<-runs
	defer close(gone)
	guard, err := refrain.New(s.store, refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := refrainhttp.New(guard, oneRoute(p))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	m.Wrap(newBank()).ServeHTTP(w, transfers("a", "b", "c").request(t.Context(), s.URL))
	if got := parseProblem(w.Body.String()); got.Code != "not-replayable" {
		t.Errorf("got %d %s, want word that all are done", w.Code, w.Body)
	}
}
