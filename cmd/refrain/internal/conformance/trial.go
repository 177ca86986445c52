package conformance

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// A trial is one run of a rule. It collects what is wrong.
type trial struct {
	ctx     context.Context
	sys     *System
	c       *Contract
	path    string // its own
	faults  []string
	lacking bool
}

// wrong notes a fault unless what should hold does.
func (t *trial) wrong(holds bool, format string, args ...any) {
	if !holds {
		t.faults = append(t.faults, fmt.Sprintf(format, args...))
	}
}

// under moves the trial to a prefix of the system, and reports whether there is one.
func (t *trial) under(prefix string) bool {
	t.path = prefix + t.path
	t.lacking = t.lacking || prefix == ""
	return !t.lacking
}

// effects checks how many requests to the trial's path were carried out.
func (t *trial) effects(want int) { t.effectsAt(t.path, want) }

func (t *trial) effectsAt(path string, want int) {
	got := t.sys.Upstream.Effects(path)
	t.wrong(got == want, "the upstream ran %d times on %s, want %d", got, path, want)
}

// script says how the upstream answers.
func (t *trial) script(answers ...Answer) { t.sys.Upstream.Script(t.path, answers...) }

// hold scripts an answer that goes out when open is called.
func (t *trial) hold() (open func()) {
	gate := make(chan struct{})
	t.script(Answer{Hold: gate})
	return func() { close(gate) }
}

// An ask is a request.
type ask struct {
	method, path, query string
	body                string
	header              http.Header
}

const order = `{"amount":100,"currency":"eur","lines":[1,2]}`

// bare returns a request without a key.
func (t *trial) bare() *ask {
	return &ask{
		method: t.c.method(), path: t.path, body: cmp.Or(t.c.body, order),
		header: http.Header{
			"Content-Type": {"application/json"}, "Authorization": {"Bearer one"}, "Accept-Encoding": {"identity"},
		},
	}
}

// keyed returns a request with a key.
func (t *trial) keyed(key string) *ask {
	a := t.bare()
	t.c.place(a, key)
	return a
}

// with returns the request with a header field changed.
func (a *ask) with(name string, lines ...string) *ask {
	c := *a
	c.header = a.header.Clone()
	c.header[http.CanonicalHeaderKey(name)] = lines
	return &c
}

// saying returns the request with text in its body replaced.
func (a *ask) saying(old, text string) *ask {
	c := *a
	c.body = strings.Replace(a.body, old, text, 1)
	return &c
}

// A reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func (r *reply) String() string {
	if r.err != nil {
		return r.err.Error()
	}
	return fmt.Sprintf("%d %.300s", r.status, r.body)
}

// send sends a request, once, and returns the answer. That there is one is part of every rule.
func (t *trial) send(a *ask) *reply {
	r := t.try(t.ctx, a)
	t.wrong(r.err == nil, "%s %s: %v", a.method, a.path, r.err)
	return r
}

func (t *trial) try(ctx context.Context, a *ask) *reply {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer in %s", patience))
	defer cancel()
	// A body of this type is not sent again by net/http itself.
	req, err := http.NewRequestWithContext(ctx, a.method, t.sys.URL+a.path+a.query, struct{ io.Reader }{strings.NewReader(a.body)})
	if err != nil {
		return &reply{err: err}
	}
	req.ContentLength, req.Header = int64(len(a.body)), a.header.Clone()
	resp, err := client.Do(req)
	if err != nil {
		return &reply{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return &reply{resp.StatusCode, resp.Header, string(body), err}
}

// client follows no redirects and keeps enough connections for a storm.
var client = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// begin sends a request in the background, and returns once the upstream has it.
func (t *trial) begin(a *ask) <-chan *reply {
	n := t.sys.Upstream.Effects(a.path) + 1
	answer := make(chan *reply, 1)
	go func() { answer <- t.try(t.ctx, a) }()
	if err := t.sys.Upstream.Await(t.ctx, a.path, n); err != nil {
		t.wrong(false, "%v", err)
	}
	return answer
}

// until repeats a request until its answer is what is waited for.
func (t *trial) until(what string, a *ask, is func(*reply) bool) {
	deadline := time.Now().Add(patience)
	for {
		r := t.try(t.ctx, a)
		if is(r) {
			return
		}
		if time.Now().After(deadline) || t.ctx.Err() != nil {
			t.wrong(false, "never happened: %s; the last answer was %s", what, r)
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.ctx.Done():
		}
	}
}

// uuid returns a random UUID of version 4.
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// uuid7 returns one of version 7 (RFC 9562, section 5.7).
func uuid7() string {
	v4 := uuid()
	ms := fmt.Sprintf("%012x", time.Now().UnixMilli())
	return ms[:8] + "-" + ms[8:] + "-7" + v4[15:]
}
