package refrainhttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A peeked is a store in memory that another hand may have changed.
type peeked struct {
	*memstore.Store
	change func(*refrain.Record)
}

func (s *peeked) Peek(id refrain.ID) (refrain.Record, time.Time) {
	r, now := s.Store.Peek(id)
	if s.change != nil {
		s.change(&r)
	}
	return r, now
}

// A guardLog counts verdicts.
type guardLog map[refrain.Verdict]int

func (l guardLog) Observe(e refrain.Event) {
	if e.Kind == refrain.EventVerdict {
		l[e.Verdict]++
	}
}

// recalled runs an operation on the store, recalls it, and returns what repeats that.
func recalled(t *testing.T, store refrain.Store, verdicts guardLog, events *eventLog) (again func() bool) {
	t.Helper()
	guard, err := refrain.New(store, refrain.Config{Observer: verdicts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = guard.Close(t.Context()) })
	m, err := refrainhttp.New(guard, refrainhttp.Config{Observer: events, Policy: refrainhttp.Policy{
		Operation: refrain.Policy{Retention: time.Minute, Tombstone: time.Hour},
	}})
	if err != nil {
		t.Fatal(err)
	}
	h := m.Wrap(charge())
	request := func() *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/charges", strings.NewReader("{}"))
		r.Header.Set("Idempotency-Key", "k")
		return r
	}
	for range 2 { // runs, and is replayed by the store
		h.ServeHTTP(httptest.NewRecorder(), request())
	}
	w := httptest.NewRecorder()
	again, ok := h.(refrainhttp.Recaller).ServeRecalled(w, request(), []byte("{}"))
	if !ok || again == nil || w.Code != http.StatusCreated {
		t.Fatalf("got %d, recalled %v, to be repeated %v", w.Code, ok, again != nil)
	}
	return again
}

// TestRepetitionKeepsItsKey: one that was put together is not that of the request that is served next.
func TestRepetitionKeepsItsKey(t *testing.T) {
	t.Parallel()
	guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = guard.Close(t.Context()) })
	m, err := refrainhttp.New(guard, refrainhttp.Config{Policy: refrainhttp.Policy{Key: refrainhttp.Key{From: []string{"tuple:A,B"}}}})
	if err != nil {
		t.Fatal(err)
	}
	h := m.Wrap(charge())
	request := func(part string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/charges", strings.NewReader("{}"))
		r.Header.Set("A", part)
		r.Header.Set("B", part)
		return r
	}
	recall := func(part string) func() bool {
		again, ok := h.(refrainhttp.Recaller).ServeRecalled(httptest.NewRecorder(), request(part), []byte("{}"))
		if !ok || again == nil {
			t.Fatalf("%s: recalled %v, to be repeated %v", part, ok, again != nil)
		}
		return again
	}
	for _, part := range []string{"one", "two"} {
		h.ServeHTTP(httptest.NewRecorder(), request(part))
	}
	again := recall("one")
	for range 20 {
		recall("two")
	}
	if !again() {
		t.Error("the repetition does not know its operation any more")
	}
}

func TestRepetitionEndsWithTheRetention(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func() refrain.Store{
		"peeker": func() refrain.Store { return memstore.New(memstore.Config{}) },
		"recall": func() refrain.Store { return struct{ refrain.Store }{memstore.New(memstore.Config{})} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				again := recalled(t, store(), guardLog{}, &eventLog{})
				time.Sleep(time.Minute - 1)
				if !again() {
					t.Error("the outcome is not repeated, a nanosecond before its retention ends")
				}
				time.Sleep(time.Nanosecond)
				if again() {
					t.Error("the outcome is repeated when its retention has ended")
				}
			})
		})
	}
}

func TestRepetitionsAreCountedAsReplays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		verdicts, events := guardLog{}, &eventLog{}
		again := recalled(t, memstore.New(memstore.Config{}), verdicts, events)
		for range 10 {
			again()
		}
		if verdicts[refrain.Run] != 1 || verdicts[refrain.Replay] != 12 {
			t.Errorf("got verdicts %v, want one run and twelve replays", verdicts)
		}
		want, got := events.all[2], events.all[12] // the one that was recalled, the last that was repeated
		if len(events.all) != 13 || got != want {
			t.Errorf("got %d events, the last %+v; want 13 and %+v", len(events.all), got, want)
		}
		time.Sleep(time.Minute)
		again()
		if len(events.all) != 13 || verdicts[refrain.Replay] != 12 {
			t.Error("a repetition that was refused is counted")
		}
	})
}

// A record that is not the one that was recalled is looked at anew.
func TestAnotherRecordIsNotRepeated(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*refrain.Record){
		"another claim":       func(r *refrain.Record) { r.Token[0]++ },
		"another fingerprint": func(r *refrain.Record) { r.Fingerprint[0]++ },
		"gone":                func(r *refrain.Record) { *r = refrain.Record{} },
		"unknown":             func(r *refrain.Record) { r.State = refrain.StateUnknown },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &peeked{Store: memstore.New(memstore.Config{})}
			again := recalled(t, store, guardLog{}, &eventLog{})
			if !again() {
				t.Error("the outcome is not repeated")
			}
			store.change = change
			if again() {
				t.Error("the outcome of another record is repeated")
			}
		})
	}
}
