package refrainhttp_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// The table of what a replay carries: RFC 9110 section 7.6.1 and RFC 9111 section 3.1, and what describes an attempt.
func TestHeadersOfReplays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		lines    []string
		replayed bool
	}{
		{"Location", []string{"/charges/1"}, true},
		{"Etag", []string{`"v1"`}, true},
		{"Content-Location", []string{"/c/1"}, true},
		{"Last-Modified", []string{"Mon, 01 Jan 2024 00:00:00 GMT"}, true},
		{"Link", []string{"</a>; rel=next", "</b>; rel=prev"}, true},
		{"Vary", []string{"Accept", "Origin"}, true},
		{"Cache-Control", []string{"no-cache"}, true},
		{"Content-Type", []string{"application/x-thing"}, true},
		{"Content-Encoding", []string{"br"}, true},
		{"Content-Digest", []string{"sha-256=:AAAA:"}, true},
		{"Repr-Digest", []string{"sha-256=:AAAA:"}, true},
		{"Signature", []string{"sig1=:AAAA:"}, true},
		{"Signature-Input", []string{"sig1=()"}, true},
		{"Set-Cookie", []string{"a=1, b; Path=/", "a=2"}, true},
		{"X-Foo", []string{"1", "", "3", "1"}, true},
		{"Www-Authenticate", []string{"Basic"}, true},
		{"Connection", []string{"X-Hop, X-Hop-2", "x-hop-3"}, false},
		{"X-Hop", []string{"1"}, false},
		{"X-Hop-2", []string{"1"}, false},
		{"X-Hop-3", []string{"1"}, false},
		{"Proxy-Connection", []string{"keep-alive"}, false},
		{"Keep-Alive", []string{"timeout=5"}, false},
		{"Te", []string{"trailers"}, false},
		{"Upgrade", []string{"h3"}, false},
		{"Proxy-Authenticate", []string{"Basic"}, false},
		{"Proxy-Authorization", []string{"x"}, false},
		{"Proxy-Authentication-Info", []string{"x"}, false},
		{"Age", []string{"10"}, false},
		{"Server-Timing", []string{"db;dur=5"}, false},
		{"X-Request-Id", []string{"r1"}, false},
		{"Traceresponse", []string{"00-x"}, false},
		{"Via", []string{"1.1 x"}, false},
		{"Ratelimit", []string{"limit=10"}, false},
		{"Ratelimit-Policy", []string{"10;w=1"}, false},
		{"Alt-Svc", []string{"clear"}, false},
		{"Strict-Transport-Security", []string{"max-age=1"}, false},
		{"Access-Control-Allow-Origin", []string{"*"}, false},
		{"Access-Control-Expose-Headers", []string{"x"}, false},
		{"Retry-After", []string{"7"}, false},
		{"Idempotency-Fence", []string{"9"}, false},
		{"Idempotency-Attempt", []string{"9"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) {
				if strings.HasPrefix(tt.name, "X-Hop") {
					w.Header().Set("Connection", "x-hop , X-Hop-2,X-HOP-3")
				}
				w.Header()[tt.name] = tt.lines
				fmt.Fprint(w, "body")
			})
			a := post("k", "1").with("Authorization", "me")
			first, again := s.do(a), s.do(a)
			if got := first.header[tt.name]; !slices.Equal(got, tt.lines) && tt.name != "Connection" {
				t.Errorf("first got %q, want %q", got, tt.lines)
			}
			if got := again.header[tt.name]; tt.replayed && !slices.Equal(got, tt.lines) || !tt.replayed && got != nil {
				t.Errorf("replay got %q, want %q: %t", got, tt.lines, tt.replayed)
			}
			s.same(first, again)
		})
	}
}

func TestDateIsFreshAndLengthRight(t *testing.T) {
	t.Parallel()
	old := "Mon, 01 Jan 2024 00:00:00 GMT"
	s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", old)
		w.Header().Set("Transfer-Encoding", "identity")
		fmt.Fprint(w, strings.Repeat("x", 5000))
	})
	first := s.do(post("k", "1"))
	again := s.do(post("k", "1"))
	if got := first.header.Get("Date"); got != old {
		t.Errorf("first Date got %q, want the handler's", got)
	}
	if d, err := http.ParseTime(again.header.Get("Date")); err != nil || time.Since(d) > time.Hour {
		t.Errorf("replay Date got %q, want now", again.header.Get("Date"))
	}
	for _, r := range []reply{first, again} {
		if got := r.header.Get("Content-Length"); got != "5000" {
			t.Errorf("Content-Length got %q, want 5000", got)
		}
	}
}

func TestCookiesOfTheUnknownCallerAreNotKept(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]refrainhttp.Config{
		"anonymous": {}, "none": oneRoute(refrainhttp.Policy{Principal: []refrainhttp.Source{"none"}}),
	} {
		s := newSite(t, cfg, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Set-Cookie", "session=secret") })
		a := post("k", "1")
		if name == "none" {
			a = a.with("Authorization", "me")
		}
		if got := s.do(a).header.Get("Set-Cookie"); got == "" {
			t.Errorf("%s: first got no cookie", name)
		}
		if got := s.do(a); got.header.Get("Set-Cookie") != "" || !got.replayed() {
			t.Errorf("%s: replay got %v, want no cookie", name, got)
		}
	}
}

func TestReplayHeadersAllowList(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(refrainhttp.Policy{ReplayHeaders: []string{"location"}}), func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Location", "/1")
		h.Set("X-Foo", "1")
		h.Set("Content-Type", "text/x")
	})
	s.do(post("k", "1"))
	got := s.do(post("k", "1")).header
	if got.Get("Location") != "/1" || got.Get("Content-Type") != "text/x" || got.Get("X-Foo") != "" {
		t.Errorf("got %v, want Location and Content-Type only", got)
	}
}

// What was in the header before the handler ran belongs to each attempt: a replay has it from its own.
func TestHeadersOfOuterMiddleware(t *testing.T) {
	t.Parallel()
	g, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := refrainhttp.New(g, refrainhttp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	inner := m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			w.Header().Set("X-Inner", "1")
			w.WriteHeader(201)
			panic("boom")
		}
		w.Header().Add("Vary", "Accept")
		w.Header().Del("X-Gone")
		w.Header().Set("X-Inner", "1")
		fmt.Fprint(w, "ok")
	}))
	var n atomic.Int64
	outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Attempt", fmt.Sprint(n.Add(1)))
		w.Header().Set("Vary", "Origin")
		w.Header().Set("X-Gone", "1")
		defer func() {
			if recover() != nil {
				w.WriteHeader(500)
			}
		}()
		inner.ServeHTTP(w, r)
	})
	serve := func(path string) http.Header {
		w := httptest.NewRecorder()
		outer.ServeHTTP(w, ask{path: path, key: "k"}.request(t.Context(), ""))
		return w.Result().Header
	}
	for attempt := 1; attempt <= 2; attempt++ {
		h := serve("/")
		if got := h["Vary"]; !slices.Equal(got, []string{"Origin", "Accept"}) {
			t.Errorf("attempt %d: Vary got %q, want both, once", attempt, got)
		}
		if got := h.Get("X-Attempt"); got != fmt.Sprint(attempt) {
			t.Errorf("X-Attempt got %q, want %d", got, attempt)
		}
		if h.Get("X-Inner") != "1" {
			t.Errorf("attempt %d lacks the handler's header", attempt)
		}
		if attempt == 1 && h.Get("X-Gone") != "" {
			t.Error("a header that the handler deleted is there")
		}
	}
	r := ask{path: "/panic", key: "p"}.request(t.Context(), "")
	w := httptest.NewRecorder()
	outer.ServeHTTP(w, r)
	if h := w.Result().Header; h.Get("X-Inner") != "" || h.Get("Vary") != "Origin" {
		t.Errorf("after a panic got %v, want the outer header alone", h)
	}
}

func TestTheHandlerSeesTheRequest(t *testing.T) {
	t.Parallel()
	var got http.Header
	s := newSite(t, refrainhttp.Config{}, func(_ http.ResponseWriter, r *http.Request) { got = r.Header })
	a := post(`"quoted"`, "1").with("Idempotency-Status", "executed").with("Idempotent-Replayed", "true").
		with("Idempotency-Attempt", "7").with("Idempotency-Fence", "999999").with("Idempotency-Expires", "never").
		with("Accept-Encoding", "br").with("Connection", "close, Idempotency-Key, idempotency-fence").with("X-Foo", "1")
	s.do(a)
	for name, want := range map[string]string{
		"Idempotency-Key": `"quoted"`, "Idempotency-Status": "", "Idempotent-Replayed": "", "Idempotency-Expires": "",
		"Accept-Encoding": "identity", "X-Foo": "1", "Connection": "close",
	} {
		if got := strings.Join(got[name], "|"); got != want {
			t.Errorf("%s got %q, want %q", name, got, want)
		}
	}
	if f := got.Get("Idempotency-Fence"); f == "" || f == "999999" {
		t.Errorf("Idempotency-Fence got %q, want ours", f)
	}
	if a := got.Get("Idempotency-Attempt"); !strings.HasSuffix(a, "-"+got.Get("Idempotency-Fence")) {
		t.Errorf("Idempotency-Attempt got %q, want it to end with the fence", a)
	}

	a.key = "" // also without a key nobody can pretend
	s.do(a)
	if got.Get("Idempotency-Fence") != "" || got.Get("Idempotency-Status") != "" {
		t.Errorf("without a key got %v, want no fields of ours", got)
	}
}

func TestContentTypeIsSniffedAsNetHTTPDoes(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"html":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!DOCTYPE html><p>") },
		"pieces": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "%P"); fmt.Fprint(w, "DF-1") },
		"encoded": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "x")
			fmt.Fprint(w, "<html>")
		},
		"silenced": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			fmt.Fprint(w, "<html>")
		},
		"empty":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) },
		"status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); fmt.Fprint(w, "<html>") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, refrainhttp.Config{}, h)
			bare := s.do(post("", "1")).header["Content-Type"]
			for range 2 {
				if got := s.do(post("k", "1")).header["Content-Type"]; !slices.Equal(got, bare) {
					t.Errorf("got %q, want %q", got, bare)
				}
			}
		})
	}
}

func TestHeaderAfterTheStatusDoesNotCount(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Foo", "1")
		w.WriteHeader(201)
		w.WriteHeader(500) // too late
		w.Header().Set("X-Foo", "2")
		w.Header().Set("X-Late", "1")
		fmt.Fprint(w, "x")
	})
	for range 2 {
		got := s.do(post("k", "1"))
		if got.code != 201 || got.header.Get("X-Foo") != "1" || got.header.Get("X-Late") != "" {
			t.Errorf("got %v, want 201, X-Foo 1 and no X-Late", got)
		}
	}
}

func TestTrailers(t *testing.T) {
	t.Parallel()
	h := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum, X-Unset, Content-Length")
		if r.URL.Path == "/stream" {
			w.Header().Set("Trailer", "X-Sum, X-Unset")
			w.Header().Set("Content-Type", "text/event-stream")
		}
		fmt.Fprint(w, strings.Repeat("x", 3000))
		w.Header().Set("X-Sum", "42")
		w.Header().Set(http.TrailerPrefix+"X-More", "43")
		w.Header().Set(http.TrailerPrefix+"Set-Cookie", "bad=1")
	}
	s := newSite(t, refrainhttp.Config{}, h)
	for i, te := range []string{"", "trailers", "deflate;q=0.5, Trailers", "gzip"} {
		a := post("k", "1")
		if te != "" {
			a = a.with("Te", te)
		}
		got := s.do(a)
		wants := i == 0 || i == 1 || i == 2 // the first answer has what the handler sent
		if got.trailer.Get("X-Sum") != "42" == wants || got.trailer.Get("X-More") != "43" == wants {
			t.Errorf("TE %q: got trailers %v, want them: %t", te, got.trailer, wants)
		}
		if got.header.Get("X-Sum")+got.header.Get("X-More")+got.header.Get("Set-Cookie") != "" {
			t.Errorf("TE %q: got trailers among the headers: %v", te, got.header)
		}
		if got.trailer.Get("Set-Cookie") != "" {
			t.Errorf("TE %q: got a cookie in the trailers", te)
		}
		if len(got.body) != 3000 {
			t.Errorf("TE %q: got %d bytes, want 3000", te, len(got.body))
		}
	}
	stream := s.do(ask{path: "/stream", key: "s"})
	if stream.trailer.Get("X-Sum") != "42" || stream.trailer.Get("X-More") != "43" {
		t.Errorf("stream got trailers %v, want both", stream.trailer)
	}
}

func TestInformationalAnswersPassAndAreNotStored(t *testing.T) {
	t.Parallel()
	hints := make(chan textproto.MIMEHeader, 4)
	gate := make(chan struct{})
	s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		select { // the client has it before the answer
		case <-gate:
		case <-time.After(10 * time.Second):
			t.Error("103 never reached the client")
		}
		w.Header().Del("Link")
		w.WriteHeader(200)
	})
	send := func() *http.Response {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				if code == http.StatusEarlyHints {
					hints <- h
				}
				return nil
			},
		})
		res, err := s.Client().Do(post("k", "1").request(ctx, s.URL))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	go func() {
		if h, ok := <-hints; ok && h.Get("Link") == "" {
			t.Error("103 got no Link")
		}
		close(gate)
	}()
	if res := send(); res.StatusCode != 200 || res.Header.Get("Link") != "" {
		t.Errorf("got %d %v, want 200 without Link", res.StatusCode, res.Header)
	}
	if res := send(); res.Header.Get("Idempotent-Replayed") != "true" || len(hints) != 0 {
		t.Errorf("replay got %v and %d hints, want a replay without", res.Header, len(hints))
	}
}

// An answer that is shorter than it declares is never stored as complete.
func TestTruncatedAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "only this")
	})
	if got := s.try(t.Context(), post("k", "1")); got.err == nil {
		t.Errorf("first got %v, want an unexpected end", got)
	}
	if got := s.do(post("k", "1")); got.code != 409 || got.status() != "unknown" {
		t.Errorf("retry got %v, want 409 unknown", got)
	}
	s.ran(1)
}

func TestMoreThanDeclaredIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		if _, err := w.Write([]byte("abcd")); !errors.Is(err, http.ErrContentLength) {
			t.Errorf("Write got %v, want ErrContentLength", err)
		}
		fmt.Fprint(w, "abc")
	})
	for range 2 {
		if got := s.do(post("k", "1")); got.body != "abc" {
			t.Errorf("got %v, want abc", got)
		}
	}
}

func TestNoBodyAllowed(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(204)
		if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrBodyNotAllowed) {
			t.Errorf("Write got %v, want ErrBodyNotAllowed", err)
		}
	})
	s.same(s.do(post("k", "1")), s.do(post("k", "1")))
}

// Over the limit and streams: the first caller gets everything, a retry is told that it is done.
func TestWhatIsNotKept(t *testing.T) {
	t.Parallel()
	const limit = 1000
	for _, tt := range []struct {
		name   string
		size   int
		header map[string]string
		code   int
		kept   bool
	}{
		{name: "under the limit", size: limit - 1, kept: true},
		{name: "at the limit", size: limit, kept: true},
		{name: "over the limit", size: limit + 1},
		{name: "far over", size: 100 * limit},
		{name: "declared over", size: limit + 1, header: map[string]string{"Content-Length": "1001"}},
		{name: "declared at", size: limit, header: map[string]string{"Content-Length": "1000"}, kept: true},
		{name: "events", size: 10, header: map[string]string{"Content-Type": "text/event-stream; charset=utf-8"}},
		{name: "ndjson", size: 10, header: map[string]string{"Content-Type": "application/x-ndjson"}},
		{name: "json-seq", size: 10, header: map[string]string{"Content-Type": "application/json-seq"}},
		{name: "grpc", size: 10, header: map[string]string{"Content-Type": "application/grpc-web+proto"}},
		{name: "replace", size: 10, header: map[string]string{"Content-Type": "multipart/x-mixed-replace;boundary=x"}},
		{name: "4xx over", size: limit + 1, code: 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := refrainhttp.Policy{Limits: refrainhttp.Limits{ResponseBody: limit}}
			s := newSite(t, oneRoute(p), func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range tt.header {
					w.Header().Set(k, v)
				}
				if tt.code != 0 {
					w.WriteHeader(tt.code)
				}
				for sent := 0; sent < tt.size; {
					n, err := w.Write([]byte(strings.Repeat("x", min(100, tt.size-sent))))
					if err != nil {
						t.Error(err)
					}
					sent += n
				}
			})
			first := s.do(post("k", "1"))
			if len(first.body) != tt.size || first.status() != "executed" {
				t.Errorf("first got %d bytes, %s, want %d, executed", len(first.body), first.status(), tt.size)
			}
			again := s.do(post("k", "1"))
			if tt.kept {
				s.same(first, again)
				return
			}
			want := max(tt.code, 200)
			if p := again.problem(); again.code != 409 || p.Code != "not-replayable" || p.Original != want || again.replayed() {
				t.Errorf("retry got %v, want 409 not-replayable of %d", again, want)
			}
			s.ran(1)
		})
	}
}

func TestRefusedStreamsAreReleased(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(429)
		fmt.Fprint(w, "data: slow down\n\n")
	})
	s.do(post("k", "1"))
	s.do(post("k", "1"))
	s.ran(2)
}

// A stream flows: what is flushed arrives while the handler works, and the tombstone was durable before.
func TestStreamsFlow(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	var settled atomic.Bool
	s := newSite(t, oneRoute(atOnce()), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			if !settled.Load() {
				t.Error("the stream began before the tombstone was durable")
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-next
		}
	})
	hook := func() { settled.Store(true) }
	s.store.beforeSettle.Store(&hook)
	res, err := s.Client().Do(post("k", "1").request(t.Context(), s.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for i := range 3 {
		got, err := lines.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		_, _ = lines.ReadString('\n')
		if i == 1 {
			if got := s.do(post("k", "1")); got.problem().Code != "not-replayable" { // also while it flows
				t.Errorf("a retry meanwhile got %v, want not-replayable", got)
			}
		}
		next <- struct{}{}
	}
	s.ran(1)
}

// A handler whose client is gone goes on, and its writes do not fail.
func TestStreamDrainsWithoutItsClient(t *testing.T) {
	t.Parallel()
	gone, done := make(chan struct{}), make(chan error, 1)
	s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 0\n\n")
		_ = http.NewResponseController(w).Flush()
		<-gone
		for range 2000 {
			if _, err := w.Write(make([]byte, 1000)); err != nil {
				done <- err
				return
			}
		}
		n, err := io.Copy(w, struct{ io.Reader }{strings.NewReader("the end")})
		if n != 7 {
			err = fmt.Errorf("copied %d bytes", n)
		}
		done <- errors.Join(err, r.Context().Err())
	})
	res, err := s.Client().Do(post("k", "1").request(t.Context(), s.URL))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	s.CloseClientConnections()
	close(gone)
	if err := <-done; err != nil {
		t.Errorf("the handler got %v, want no error", err)
	}
}

// What is not durable yet is not flushed.
func TestFlushIsHeldBack(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "a")
		w.(http.Flusher).Flush()
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-gate
		fmt.Fprint(w, "b")
	})
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /charges HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n")
	eventually(t, "the handler began", func() bool { return s.runs.Load() == 1 })
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("got %d bytes, %v before the outcome is durable, want none", n, err)
	}
	close(gate)
	_ = c.SetReadDeadline(time.Time{})
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(res.Body); string(b) != "ab" || res.ContentLength != 2 {
		t.Errorf("got %q, length %d, want ab, 2", b, res.ContentLength)
	}
}

func TestResponseController(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		rc := http.NewResponseController(w)
		for name, err := range map[string]error{
			"read deadline": rc.SetReadDeadline(time.Now().Add(time.Hour)), "full duplex": rc.EnableFullDuplex(),
			"write deadline": rc.SetWriteDeadline(time.Now().Add(time.Hour)),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := rc.Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack got %v, want ErrNotSupported", err)
		}
		if _, ok := w.(interface{ CloseNotify() <-chan bool }); ok {
			t.Error("the writer tells of the client's hang-up")
		}
	})
	s.do(post("k", "1"))
}

func TestUpgradeIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, charge())
	a := post("k", "1").with("Connection", "keep-alive, upgrade").with("Upgrade", "websocket")
	if got := s.do(a); got.code != 400 || got.problem().Code != "upgrade-refused" {
		t.Errorf("got %v, want 400 upgrade-refused", got)
	}
	s.ran(0)
	a.key = ""
	if got := s.do(a); got.code != 201 {
		t.Errorf("without a key got %v, want 201", got)
	}
}

func TestHandlerCannotSwitchProtocols(t *testing.T) {
	t.Parallel()
	s := newSite(t, refrainhttp.Config{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(101) })
	if got := s.do(post("k", "1")); got.code != 500 || got.status() != "unknown" {
		t.Errorf("got %v, want 500 unknown", got)
	}
}
