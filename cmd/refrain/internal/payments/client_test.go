package payments

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// A scripted server gives one answer after the other, the last one for ever, and notes the keys and bodies it got.
type scripted struct {
	mu      sync.Mutex
	answers []func(http.ResponseWriter)
	seen    []string
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	answer := s.answers[min(len(s.seen), len(s.answers)-1)]
	s.seen = append(s.seen, r.Header.Get("Idempotency-Key")+" "+string(body))
	s.mu.Unlock()
	answer(w)
}

func (s *scripted) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func says(status int, header ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"id":"ch_1"}`)
	}
}

func hangsUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func breaksOff(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "100")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, `{"id":`)
	panic(http.ErrAbortHandler)
}

func TestClientVerdicts(t *testing.T) {
	t.Parallel()
	type answers = []func(http.ResponseWriter)
	for name, c := range map[string]struct {
		answers answers
		kind    Kind
		tries   int
	}{
		"a success is a success":        {answers{says(201)}, Paid, 1},
		"unrecorded is a success":       {answers{says(201, "Idempotency-Status", "unrecorded")}, Paid, 1},
		"no answer: ask again":          {answers{hangsUp, hangsUp, says(201)}, Paid, 3},
		"half an answer: ask again":     {answers{breaksOff, says(201)}, Paid, 2},
		"in progress: ask again":        {answers{says(409, "Idempotency-Status", "in-progress"), says(201)}, Paid, 2},
		"unavailable: ask again":        {answers{says(503), says(429), says(201)}, Paid, 3},
		"unknown is unknown":            {answers{says(409, "Idempotency-Status", "unknown")}, Unknown, 1},
		"an unknown 500 is unknown":     {answers{hangsUp, says(500, "Idempotency-Status", "unknown")}, Unknown, 2},
		"no is no":                      {answers{says(422)}, Refused, 1},
		"a mismatch is no":              {answers{says(422, "Idempotency-Status", "mismatch")}, Refused, 1},
		"in vain":                       {answers{hangsUp}, Unanswered, 4},
		"for ever in progress: in vain": {answers{says(409, "Idempotency-Status", "in-progress")}, Unanswered, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &scripted{answers: c.answers}
			srv := httptest.NewServer(server)
			defer srv.Close()
			client := Client{URL: srv.URL, Tries: 4, Pause: time.Millisecond}
			r := client.Pay(t.Context(), "key-1", order("a"))
			if r.Kind != c.kind || r.Tries != c.tries {
				t.Errorf("got %v after %d tries, want %v after %d", r.Kind, r.Tries, c.kind, c.tries)
			}
			requests := server.requests()
			if len(requests) != c.tries {
				t.Errorf("got %d requests for %d tries", len(requests), c.tries)
			}
			for _, seen := range requests {
				if want := `key-1 {"amount":4200,"currency":"EUR","reference":"a"}`; seen != want {
					t.Errorf("got request %s, want %s: every try is the same", seen, want)
				}
			}
			if _, err := r.Charge(); (err == nil) != (c.kind == Paid) {
				t.Errorf("got charge error %v for %v", err, c.kind)
			}
		})
	}
}

func TestClientWaitsAsAsked(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"": 0, "1": time.Second, "0": 0, "-1": 0, "60": longestRetryAfter, "Wed, 21 Oct 2026 07:28:00 GMT": 0,
	} {
		r := Result{Header: http.Header{"Retry-After": {value}}}
		if got := r.retryAfter(); got != want {
			t.Errorf("Retry-After %q: got %s, want %s", value, got, want)
		}
	}
}
