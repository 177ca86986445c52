package refrainhttp_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// A cookie may be a credential. Whoever has no other is not answered with what another's request got.
func TestPromise7CookiesOfStrangers(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("for " + r.Header.Get("Cookie")))
	}))
	for _, tc := range []struct {
		cookie string
		want   int
		status string
	}{
		{"s=alice", 200, "executed"}, {"s=bob", 422, "mismatch"}, {"", 422, "mismatch"}, {"s=alice", 200, "replayed"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader("1"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Idempotency-Key", "1")
		if tc.cookie != "" {
			r.Header.Set("Cookie", tc.cookie)
		}
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("Idempotency-Status"); res.StatusCode != tc.want || got != tc.status {
			t.Errorf("cookie %q: got %d %s, want %d %s", tc.cookie, res.StatusCode, got, tc.want, tc.status)
		}
	}
}
