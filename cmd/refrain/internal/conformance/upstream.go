package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// An Upstream is the API behind a system under test. It counts what it carries out, and answers as it is told.
type Upstream struct {
	addr   string
	mu     sync.Mutex
	server *http.Server
	places map[string]*place
	nonce  int
}

// A place is one path of an upstream.
type place struct {
	effects int
	script  []Answer      // the last one is given again and again
	news    chan struct{} // closed and replaced when effects grows
	seen    []http.Header
}

// An Answer is one of an upstream's. The zero Answer is 201 with a document of JSON that is never the same; to a request of
// JSON-RPC it is the result.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Hold   <-chan struct{} // if not nil, what must be closed before the answer goes out
	Drop   bool            // the connection ends instead
}

// NewUpstream returns an upstream that serves on a free port of the loopback interface.
func NewUpstream() (*Upstream, error) {
	u := &Upstream{addr: "127.0.0.1:0", places: map[string]*place{}}
	return u, u.Up()
}

// URL returns where it is.
func (u *Upstream) URL() string { return "http://" + u.addr }

// Up serves, on the same address each time.
func (u *Upstream) Up() error {
	l, err := net.Listen("tcp", u.addr)
	if err != nil {
		return fmt.Errorf("starting the upstream: %w", err)
	}
	u.addr = l.Addr().String()
	u.server = &http.Server{Handler: http.HandlerFunc(u.serve), ReadHeaderTimeout: time.Minute}
	go func(s *http.Server) { _ = s.Serve(l) }(u.server) // until Down
	return nil
}

// Down ends everything that is open; who connects is refused.
func (u *Upstream) Down() { _ = u.server.Close() }

func (u *Upstream) at(path string) *place {
	p := u.places[path]
	if p == nil {
		p = &place{news: make(chan struct{})}
		u.places[path] = p
	}
	return p
}

// Script says how the requests to a path are answered, one after the other, and from the last answer on all alike.
func (u *Upstream) Script(path string, answers ...Answer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.at(path).script = answers
}

// Effects returns how many requests to a path were carried out.
func (u *Upstream) Effects(path string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.at(path).effects
}

// Seen returns the header of the last request to a path.
func (u *Upstream) Seen(path string) http.Header {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.at(path)
	if len(p.seen) == 0 {
		return nil
	}
	return p.seen[len(p.seen)-1]
}

// Await waits until n requests to a path have begun.
func (u *Upstream) Await(ctx context.Context, path string, n int) error {
	for {
		u.mu.Lock()
		p := u.at(path)
		effects, news := p.effects, p.news
		u.mu.Unlock()
		if effects >= n {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("waiting for request %d to %s: %w", n, path, context.Cause(ctx))
		}
	}
}

// enter counts a request and returns its answer.
func (u *Upstream) enter(r *http.Request, body []byte) Answer {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.at(r.URL.Path)
	p.effects++
	p.seen = append(p.seen, r.Header)
	close(p.news)
	p.news = make(chan struct{})
	u.nonce++
	var a Answer
	if n := len(p.script); n > 0 {
		a = p.script[min(p.effects, n)-1]
	}
	if a.Status == 0 {
		a.Status = http.StatusCreated
	}
	if a.Body == nil {
		a.Body = inReplyTo(body, fmt.Appendf(nil, `{"id":"op_%d","effects":%d}`, u.nonce, p.effects))
	}
	return a
}

// inReplyTo returns the result as the answer to a request: in an answer of JSON-RPC, if it is one.
func inReplyTo(request, result []byte) []byte {
	var call struct {
		JSONRPC string
		ID      json.RawMessage
	}
	if json.Unmarshal(request, &call) != nil || call.JSONRPC == "" {
		return result
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":%s}`, call.ID, result)
}

func (u *Upstream) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // not a whole request
	}
	a := u.enter(r, body)
	if a.Hold != nil {
		select {
		case <-a.Hold:
		case <-r.Context().Done():
		}
	}
	if a.Drop {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	maps.Copy(h, a.Header)
	h.Set("X-Nonce", strconv.Itoa(u.Effects(r.URL.Path)))
	w.WriteHeader(a.Status)
	if a.Status != http.StatusNoContent {
		_, _ = w.Write(a.Body)
	}
}
