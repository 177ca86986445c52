package refrainhttp_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// Bodies that are being read share a budget; who finds it spent is told to come back, and nothing is claimed.
func TestBodyMemoryIsBounded(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s := newSite(t, refrainhttp.Config{BodyMemory: 1000}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Hold") != "" {
			entered <- struct{}{}
			<-release
		}
	}))
	send := func(key, hold string, size int) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Error(err)
			return 0
		}
		r.Header.Set("Idempotency-Key", key)
		if hold != "" {
			r.Header.Set("X-Hold", hold)
		}
		res, err := s.Client().Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		res.Body.Close()
		return res.StatusCode
	}
	done := make(chan int)
	go func() { done <- send("a", "yes", 800) }()
	<-entered
	if got := send("b", "", 300); got != http.StatusServiceUnavailable {
		t.Errorf("over the budget: got %d, want 503", got)
	}
	if got := send("c", "", 100); got != http.StatusOK {
		t.Errorf("within the budget: got %d, want 200", got)
	}
	close(release)
	if got := <-done; got != http.StatusOK {
		t.Errorf("the first: got %d, want 200", got)
	}
	if got := send("b", "", 300); got != http.StatusOK {
		t.Errorf("when the budget is free again: got %d, want 200", got)
	}
}

// What is only announced of bodies takes nothing from other requests: a few that wait for theirs would have the memory of all.
func TestAnnouncedBodiesTakeNoMemory(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{BodyMemory: 1 << 20}, charge())
	for _, length := range []string{"Content-Length: 1048576", "Transfer-Encoding: chunked"} {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /charges HTTP/1.1\r\nHost: x\r\nIdempotency-Key: slow\r\nExpect: 100-continue\r\n%s\r\n\r\n", length)
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
			t.Fatalf("%s: got %q, %v, want to be asked for the body", length, line, err)
		}
	}
	if got := s.do(post("k", "1")); got.code != http.StatusCreated {
		t.Errorf("while others wait for their bodies: got %v, want 201", got)
	}
}

// What is only watched has no more memory; who finds it spent is passed on unread.
func TestBodyMemoryOfObserveIsBounded(t *testing.T) {
	t.Parallel()
	cfg := oneRoute(refrainhttp.Policy{Mode: refrainhttp.Observe})
	cfg.BodyMemory = 10
	s := newSite(t, cfg, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	if got := s.do(post("k", "more than there is")); got.body != "more than there is" {
		t.Errorf("got %v, want the answer to the whole body", got)
	}
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	if e := s.events.all[0]; e.Status != refrainhttp.StatusRefused || e.Problem != "unavailable" {
		t.Errorf("reported %+v, want that it would be refused", e)
	}
}
