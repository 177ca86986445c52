package refrainhttp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// TestAnOperationResolvedByHandIsReplayed finds an operation by a request, records an answer for it, and sends the request.
func TestAnOperationResolvedByHandIsReplayed(t *testing.T) {
	t.Parallel()
	guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := refrainhttp.New(guard, refrainhttp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	h := m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	ask := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request(http.MethodPost, "k1"))
		return w
	}
	if w := ask(); w.Header().Get("Idempotency-Status") != "unknown" {
		t.Fatalf("got %d %v, want an unknown operation", w.Code, w.Header())
	}
	id, pattern, err := m.Identify(request(http.MethodPost, "k1"))
	if err != nil || pattern != "POST /" {
		t.Fatalf("got pattern %q and error %v, want POST /", pattern, err)
	}
	r, err := guard.Lookup(t.Context(), id)
	if err != nil || r.State != refrain.StateUnknown {
		t.Fatalf("got %v and error %v, want an unknown operation", r.State, err)
	}
	o, err := refrainhttp.NewOutcome(http.StatusCreated, http.Header{
		"Content-Type": {"application/json"}, "Set-Cookie": {"a=b"}, "Connection": {"close"},
	}, []byte(`{"id":"ch_1"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = guard.Resolve(t.Context(), id, refrain.Resolution{
		Fence: r.Fence, Ending: refrain.Finished, Outcome: o,
	}); err != nil {
		t.Fatal(err)
	}
	w := ask()
	if w.Code != http.StatusCreated || w.Body.String() != `{"id":"ch_1"}` ||
		w.Header().Get("Idempotency-Status") != "replayed" || w.Header().Get("Content-Type") != "application/json" ||
		w.Header().Get("Set-Cookie")+w.Header().Get("Connection") != "" {
		t.Errorf("got %d %v %s, want what was recorded", w.Code, w.Header(), w.Body)
	}
}

func request(method, key string) *http.Request {
	r := httptest.NewRequest(method, "/charges", strings.NewReader("{}"))
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	r.Header.Set("Authorization", "Bearer alice")
	return r
}

// TestRequestsThatStandForNoOperation are told why.
func TestRequestsThatStandForNoOperation(t *testing.T) {
	t.Parallel()
	guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := refrainhttp.New(guard, refrainhttp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*http.Request{request("GET", "k"), request("PUT", "k"), request("POST", ""), request("POST", `"`)} {
		if _, _, err := m.Identify(r); !errors.Is(err, refrainhttp.ErrNoOperation) {
			t.Errorf("%s: got error %v, want %v", r.Method, err, refrainhttp.ErrNoOperation)
		}
	}
	a, _, _ := m.Identify(request("POST", "k1"))
	b, _, _ := m.Identify(request("POST", "k2"))
	if a == b || a == (refrain.ID{}) {
		t.Error("two keys have one ID")
	}
}

// TestOutcomesThatNoAnswerHas are refused.
func TestOutcomesThatNoAnswerHas(t *testing.T) {
	t.Parallel()
	for status, body := range map[int]string{0: "", 100: "", 199: "", 600: "", 204: "x", 304: "x"} {
		if _, err := refrainhttp.NewOutcome(status, nil, []byte(body)); err == nil {
			t.Errorf("status %d with body %q: got no error", status, body)
		}
	}
}
