package refrainhttp_test

import (
	"fmt"
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

// An api answers every request as it is told, behind a middleware, without a network.
type api struct {
	t       *testing.T
	handler http.Handler
	runs    int
	status  int
	media   string
	body    string
}

func newAPI(t *testing.T, p refrainhttp.Policy) *api {
	t.Helper()
	guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = guard.Close(t.Context()) })
	m, err := refrainhttp.New(guard, refrainhttp.Config{Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	a := &api{t: t, status: http.StatusOK, media: "application/json"}
	a.handler = m.Publish(m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.runs++
		w.Header().Set("Content-Type", a.media)
		w.WriteHeader(a.status)
		fmt.Fprint(w, a.body)
	})))
	return a
}

// post wants the key's answer to have the status, as the status of the operation, and so many runs so far.
func (a *api) post(key string, code int, status string, runs int) *httptest.ResponseRecorder {
	a.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/charges", strings.NewReader("{}"))
	r.Header.Set("Idempotency-Key", key)
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	if got := w.Header().Get("Idempotency-Status"); w.Code != code || got != status || a.runs != runs {
		a.t.Errorf("%s: got %d %s after %d runs, want %d %s after %d: %s", key, w.Code, got, a.runs, code, status, runs, w.Body)
	}
	return w
}

func TestFailuresAreKeptForATimeOfTheirOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := atOnce()
		p.Outcomes.Failures = refrain.Keep{Retention: 10 * time.Minute, Tombstone: -1}
		a := newAPI(t, p)
		in := func(w *httptest.ResponseRecorder, d time.Duration) {
			t.Helper()
			want := time.Now().Add(d).UTC().Format(http.TimeFormat)
			if got := w.Header().Get("Idempotency-Expires"); got != want {
				t.Errorf("got Idempotency-Expires %q, want %q", got, want)
			}
		}
		a.status = http.StatusCreated
		in(a.post("good", 201, "executed", 1), 24*time.Hour)
		a.status = http.StatusPaymentRequired
		in(a.post("bad", 402, "executed", 2), 10*time.Minute)
		a.status = http.StatusCreated
		<-time.After(10*time.Minute - 1)
		a.post("bad", 402, "replayed", 2)
		<-time.After(1)
		a.post("bad", 201, "executed", 3) // its failure is forgotten, and no tombstone is in the way
		a.post("good", 201, "replayed", 3)
	})
}

func TestFailuresHaveATombstoneOfTheirOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := refrainhttp.Policy{Operation: refrain.Policy{Wait: -1, Retention: time.Hour, Tombstone: -1}}
		p.Outcomes.Failures.Tombstone = time.Minute
		a := newAPI(t, p)
		a.status = http.StatusPaymentRequired
		a.post("bad", 402, "executed", 1)
		<-time.After(time.Hour)
		a.post("bad", 410, "expired", 1)
		<-time.After(time.Minute)
		a.post("bad", 402, "executed", 2)
	})
}

// What a client is told beforehand is what holds.
func TestTheContractTellsOfFailures(t *testing.T) {
	t.Parallel()
	p := refrainhttp.Policy{Outcomes: refrainhttp.Outcomes{Failures: refrain.Keep{Retention: 10 * time.Minute, Tombstone: -1}}}
	cfg := refrainhttp.Config{Policy: p, Lifetime: refrainhttp.Lifetime{Match: "GET /v1/config", Member: "idempotency-key-lifetime"}}
	do := publish(t, cfg, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") })
	c := contractsIn(t, do(http.MethodGet, refrainhttp.WellKnown))[0]
	if c.Failures == nil || *c.Failures != (refrainhttp.KeepContract{Lifetime: 600, ISO8601: "PT10M"}) || c.Lifetime != 86400 {
		t.Errorf("got %+v beside %v, want ten minutes", c.Failures, c.Lifetime)
	}
	doc := make([]byte, 100)
	n, _ := do(http.MethodGet, "/v1/config").Body.Read(doc)
	if got := string(doc[:n]); got != `{"idempotency-key-lifetime":"PT10M"}` {
		t.Errorf("got %s, want the shortest lifetime", got)
	}
	same := publish(t, refrainhttp.Config{}, nil)
	if c := contractsIn(t, same(http.MethodGet, refrainhttp.WellKnown))[0]; c.Failures != nil {
		t.Errorf("got %+v, want nothing where failures are kept as long as the rest", c.Failures)
	}
}

func TestNegativeRetentionOfFailuresIsRefused(t *testing.T) {
	t.Parallel()
	p := refrainhttp.Policy{Outcomes: refrainhttp.Outcomes{Failures: refrain.Keep{Retention: -1}}}
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "failures: the retention is -1ns") {
		t.Errorf("got %v, want an error that names it", err)
	}
}

// The answers are those of section 7.1 of the GraphQL specification.
func TestGraphQLErrors(t *testing.T) {
	t.Parallel()
	const (
		refused = `{"errors":[{"message":"Syntax Error"}]}`
		failed  = `{"errors":[{"message":"no"}],"data":null}`
		partly  = `{"errors":[{"message":"no"}],"data":{"a":{"id":1},"b":null}}`
		fine    = `{"data":{"a":{"id":1}}}`
	)
	for _, tt := range []struct {
		class       refrainhttp.Class
		body, media string
		again       string // the status of the second request
		runs        int
	}{
		{refrainhttp.Release, refused, "application/json", "executed", 2},
		{refrainhttp.Release, failed, "application/graphql-response+json", "executed", 2},
		{refrainhttp.Release, partly, "application/json", "replayed", 1},
		{refrainhttp.Release, fine, "application/json", "replayed", 1},
		{refrainhttp.Unknown, failed, "application/json", "unknown", 1},
		{refrainhttp.Final, failed, "application/json", "replayed", 1},
		{refrainhttp.Release, failed, "text/plain", "replayed", 1}, // not JSON: nobody looks into it
	} {
		p := atOnce()
		p.Outcomes.Bodies = []refrainhttp.BodyRule{{Pointer: "/errors", Without: "/data", Class: tt.class}}
		a := newAPI(t, p)
		a.body, a.media = tt.body, tt.media
		first := a.post("k", 200, map[bool]string{true: "unknown", false: "executed"}[tt.again == "unknown"], 1)
		if first.Body.String() != tt.body {
			t.Errorf("got %s, want what the API answered", first.Body)
		}
		code := map[bool]int{true: http.StatusConflict, false: http.StatusOK}[tt.again == "unknown"]
		a.post("k", code, tt.again, tt.runs)
	}
}

// What is too long to be kept is not looked into either.
func TestLongAnswersGoByTheirStatus(t *testing.T) {
	t.Parallel()
	p := atOnce()
	p.Outcomes.Bodies = []refrainhttp.BodyRule{{Pointer: "/errors", Class: refrainhttp.Release}}
	p.Limits.ResponseBody = 20
	a := newAPI(t, p)
	a.body = `{"errors":[1]}` + strings.Repeat(" ", 10)
	a.post("k", 200, "executed", 1)
	a.post("k", 409, "replayed", 1)
}

// Some of it has happened: running all of it again would do that part twice.
func TestPartialSuccess(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		outcomes refrainhttp.Outcomes
		first    string
		again    string
		code     int
		runs     int
	}{
		{refrainhttp.Outcomes{}, "executed", "replayed", 207, 1},
		{refrainhttp.Outcomes{Release: []string{"207"}}, "executed", "executed", 207, 2},
		{refrainhttp.Outcomes{Unknown: []string{"5xx", "207"}}, "unknown", "unknown", 409, 1},
	} {
		p := atOnce()
		p.Outcomes = tt.outcomes
		a := newAPI(t, p)
		a.status, a.body = http.StatusMultiStatus, `{"items":[{"status":201},{"status":500}]}`
		a.post("k", 207, tt.first, 1)
		a.post("k", tt.code, tt.again, tt.runs)
	}
}
