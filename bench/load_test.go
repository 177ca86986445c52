package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAnswerHas200Bytes(t *testing.T) {
	t.Parallel()
	if len(answer) != 200 {
		t.Errorf("got %d bytes, want 200", len(answer))
	}
}

// TestLoad sees that every request of a load has a key of its own and is counted once.
func TestLoad(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	keys := make(map[string]int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || string(b) != body || r.URL.Path != "/charges" {
			t.Errorf("got %s with %q, %v", r.URL, b, err)
		}
		mu.Lock()
		keys[r.Header.Get("Idempotency-Key")]++
		mu.Unlock()
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()

	var seq sequence
	l := load{
		target: target{name: "test", addr: server.Listener.Addr().String(), path: "/charges"},
		keys:   seq.fresh, until: times(1000),
	}
	r, err := l.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.requests != 1000 || len(keys) != 1000 || r.latency.count != 1000 {
		t.Errorf("got %d requests, %d keys, %d latencies, want 1000 of each", r.requests, len(keys), r.latency.count)
	}
}

func TestLoadReportsAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, sign, want string
		handler          http.HandlerFunc
	}{
		{"an error", "", "503", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "store unavailable", http.StatusServiceUnavailable)
		}},
		{
			"not a replay", "Idempotent-Replayed: true", "without \"Idempotent-Replayed: true\"",
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.handler)
			defer server.Close()
			l := load{
				target: target{name: "test", addr: server.Listener.Addr().String(), path: "/"}, sign: c.sign,
				keys: around(0, 10), until: times(100),
			}
			if _, err := l.run(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	var h, other histogram
	for i := range 1000 {
		h.observe(time.Duration(i+1) * time.Microsecond)
	}
	h.add(&other)
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{{0.5, 500 * time.Microsecond}, {0.99, 990 * time.Microsecond}} {
		got := h.quantile(c.q)
		if got < c.want || got > c.want+c.want/30+time.Microsecond {
			t.Errorf("quantile %g: got %s, want about %s", c.q, got, c.want)
		}
	}
}

func TestDuel(t *testing.T) {
	t.Parallel()
	var order []string
	party := func(name string, values ...float64) side {
		return side{name, func() (float64, error) {
			order = append(order, name)
			v := values[0]
			values = values[1:]
			return v, nil
		}}
	}
	got, err := duel("test", 3, party("a", 10, 20, 60), party("b", 10, 10, 20))
	if err != nil {
		t.Fatal(err)
	}
	if want := (score{a: 20, b: 10, ratio: 2, lo: 1, hi: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := strings.Join(order, ""), "abbaab"; got != want {
		t.Errorf("got turns %s, want %s", got, want)
	}
}

func TestTourney(t *testing.T) {
	t.Parallel()
	party := func(name string, values ...float64) side {
		return side{name, func() (float64, error) {
			v := values[0]
			values = values[1:]
			return v, nil
		}}
	}
	got, err := tourney("test", 2, party("a", 10, 30), party("b", 20, 40), party("c", 10, 10))
	if err != nil {
		t.Fatal(err)
	}
	want := []score{{a: 20, b: 10, ratio: 2, lo: 1, hi: 3}, {a: 30, b: 10, ratio: 3, lo: 2, hi: 4}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	s := score{a: 8000, b: 10000, ratio: 0.8, lo: 0.7, hi: 0.9}
	got := table([]result{
		atLeast(0.6, "firsts", "/s", s, "nginx"), atLeast(0.9, "firsts", "/s", s, "nginx"), atMost(0.7, "cost", " ns", s, "Fiber"),
		floor("floor", "relay", s, "nginx"), skip("firsts", "Restate", "npm is not installed"),
	})
	for _, want := range []string{
		"| firsts | 8.00 k/s | nginx 10.0 k/s | 0.80 | 0.70 to 0.90 | ≥ 0.6 | met |",
		"| relay 8.00 k/s | nginx 10.0 k/s | 0.80 | 0.70 to 0.90 |  |  |",
		"| ≥ 0.9 | **missed** |", "| ≤ 0.7 | **missed** |", "skipped: npm is not installed",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant it to contain %q", got, want)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	if got, err := choose("restate,nginx"); err != nil || len(got) != 2 || got[0].name != "restate" {
		t.Errorf("got %v, %v, want restate and nginx", got, err)
	}
	if _, err := choose("apache"); err == nil || !strings.Contains(err.Error(), "nginx") {
		t.Errorf("got %v, want an error that names the parts", err)
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	if err := command(context.Background(), []string{"-only", "apache"}); err == nil {
		t.Error("got no error for an unknown part")
	}
}
