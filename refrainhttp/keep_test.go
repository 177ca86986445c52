package refrainhttp_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// within runs a test with a handler behind the middleware in a bubble, whose clock it may let go on. The handler answers with
// the status that X-Answer asks for and says how often it ran.
func within(t *testing.T, p refrainhttp.Policy, test func(t *testing.T, do func(key string, status int) *httptest.ResponseRecorder)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := guard.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		m, err := refrainhttp.New(guard, oneRoute(p))
		if err != nil {
			t.Fatal(err)
		}
		runs := 0
		h := m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			runs++
			status, _ := strconv.Atoi(r.Header.Get("X-Answer"))
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "run "+strconv.Itoa(runs))
		}))
		test(t, func(key string, status int) *httptest.ResponseRecorder {
			r := httptest.NewRequest("POST", "/charges", strings.NewReader("{}"))
			r.Header.Set("Idempotency-Key", key)
			r.Header.Set("X-Answer", strconv.Itoa(status))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		})
	})
}

// TestFailuresAreKeptForATimeOfTheirOwn: a declined card may be tried again sooner than a charge is forgotten.
func TestFailuresAreKeptForATimeOfTheirOwn(t *testing.T) {
	t.Parallel()
	p := atOnce()
	p.Operation.Retention, p.Operation.Tombstone = 24*time.Hour, 24*time.Hour
	p.Outcomes.Failures = refrain.Keep{Retention: 10 * time.Minute, Tombstone: -1}
	within(t, p, func(t *testing.T, do func(string, int) *httptest.ResponseRecorder) {
		declined, charged := do("declined", 402), do("charged", 201)
		for _, tt := range []struct {
			answer *httptest.ResponseRecorder
			keep   time.Duration
		}{{declined, 10 * time.Minute}, {charged, 24 * time.Hour}} {
			want := time.Now().Add(tt.keep).UTC().Format(http.TimeFormat)
			if got := tt.answer.Header().Get("Idempotency-Expires"); got != want {
				t.Errorf("%d: it expires %s, want %s", tt.answer.Code, got, want)
			}
		}
		time.Sleep(10*time.Minute - time.Nanosecond)
		if w := do("declined", 201); w.Code != 402 || w.Body.String() != "run 1" {
			t.Errorf("got %d %s, want the failure again", w.Code, w.Body)
		}
		time.Sleep(time.Nanosecond)
		if w := do("declined", 201); w.Code != 201 || w.Body.String() != "run 3" {
			t.Errorf("got %d %s, want the key to be new", w.Code, w.Body)
		}
		if w := do("charged", 402); w.Code != 201 || w.Body.String() != "run 2" {
			t.Errorf("got %d %s, want the success again", w.Code, w.Body)
		}
	})
}

// TestFailuresAreRemembered: the tombstone of a failure is its own too.
func TestFailuresAreRemembered(t *testing.T) {
	t.Parallel()
	p := atOnce()
	p.Operation.Tombstone = -1
	p.Outcomes.Failures = refrain.Keep{Retention: time.Minute, Tombstone: time.Minute}
	within(t, p, func(t *testing.T, do func(string, int) *httptest.ResponseRecorder) {
		do("k", 402)
		time.Sleep(90 * time.Second)
		if w := do("k", 201); w.Code != http.StatusGone {
			t.Errorf("got %d, want 410 while the key is known as used", w.Code)
		}
		time.Sleep(30 * time.Second)
		if w := do("k", 201); w.Code != 201 {
			t.Errorf("got %d, want the key to be new", w.Code)
		}
	})
}

func TestFailuresInTheContract(t *testing.T) {
	t.Parallel()
	p := refrainhttp.Policy{Outcomes: refrainhttp.Outcomes{Failures: refrain.Keep{Retention: 10 * time.Minute}}}
	do := publish(t, oneRoute(p), func(http.ResponseWriter, *http.Request) {})
	got := contractsIn(t, do("GET", refrainhttp.WellKnown))[0]
	if f := got.Failures; f == nil || f.Lifetime != 600 || f.Remembered != 7*24*3600 {
		t.Errorf("got %+v, want ten minutes, and remembered as others", f)
	}
	p.Outcomes.Failures.Retention = -1
	if err := p.Validate(); err == nil {
		t.Error("a negative retention is accepted")
	}
}

// TestPartialSuccess: a 207 says that some of it happened. It is final unless a rule says otherwise, for running the whole
// again would repeat what did.
func TestPartialSuccess(t *testing.T) {
	t.Parallel()
	within(t, atOnce(), func(t *testing.T, do func(string, int) *httptest.ResponseRecorder) {
		first, again := do("k", http.StatusMultiStatus), do("k", http.StatusMultiStatus)
		if again.Code != http.StatusMultiStatus || again.Body.String() != first.Body.String() {
			t.Errorf("got %d %s, want the 207 again", again.Code, again.Body)
		}
	})
	p := atOnce()
	p.Outcomes.Unknown = []string{"5xx", "207"}
	within(t, p, func(t *testing.T, do func(string, int) *httptest.ResponseRecorder) {
		do("k", http.StatusMultiStatus)
		if w := do("k", http.StatusOK); w.Code != http.StatusConflict || w.Header().Get("Idempotency-Status") != "unknown" {
			t.Errorf("got %d %q, want it held as unknown", w.Code, w.Header())
		}
	})
}

// TestGraphQL: errors come in a 200. With data beside them something may have happened, without it nothing was.
func TestGraphQL(t *testing.T) {
	t.Parallel()
	p := atOnce()
	p.Outcomes.Bodies = []refrainhttp.BodyRule{{Pointer: "/data", Class: refrainhttp.Final}, {Pointer: "/errors", Class: refrainhttp.Release}}
	answers := map[string]string{
		"refused": `{"errors":[{"message":"not signed in"}],"data":null}`,
		"partly":  `{"errors":[{"message":"no mail"}],"data":{"pay":{"id":"1"},"mail":null}}`,
		"done":    `{"data":{"pay":{"id":"1"}}}`,
	}
	s := newSite(t, oneRoute(p), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/graphql-response+json")
		_, _ = io.WriteString(w, answers[r.Header.Get("Idempotency-Key")])
	})
	for key, wantRuns := range map[string]int64{"refused": 2, "partly": 1, "done": 1} {
		s.runs.Store(0)
		first := s.do(post(key, "{}"))
		if again := s.do(post(key, "{}")); again.body != first.body || s.runs.Load() != wantRuns {
			t.Errorf("%s: ran %d times, want %d", key, s.runs.Load(), wantRuns)
		}
	}
}
