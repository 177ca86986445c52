package refrainhttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A field that is true of the first answer's bytes only is not on one with other bytes.
func TestChangedAnswersDoNotVouchForOthers(t *testing.T) {
	t.Parallel()
	s := newSite(t, oneRoute(speaking(t, "ucp-mcp")), func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for _, name := range []string{"ETag", "Content-Digest", "Repr-Digest", "Digest", "Content-MD5", "Signature", "Signature-Input"} {
			h.Set(name, "x")
		}
		h.Set("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
		tool()(w, r)
	})
	first := s.do(call("1", "k"))
	if same := s.do(call("1", "k")); same.header.Get("Content-Digest") != "x" || same.header.Get("Signature") != "x" || same.body != first.body {
		t.Errorf("got %s, want every field of the same bytes", same)
	}
	other := s.do(call("2", "k"))
	s.rpc(other, "2", `"result":{"id":1}}`)
	for _, name := range []string{"Etag", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5", "Signature", "Signature-Input"} {
		if v := other.header[name]; v != nil {
			t.Errorf("got %s: %q of other bytes", name, v)
		}
	}
	if other.header.Get("Last-Modified") == "" {
		t.Error("a field of the result is gone")
	}
}

func TestAnswersThatRepeatNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		about, media, coding, answer, want string
	}{
		{"no JSON", "text/plain", "", `{"id":1}`, `{"id":1}`},
		{"no document", "application/json", "", `{"id":1}}`, `{"id":1}}`},
		{"no id", "application/json", "", `{"jsonrpc":"2.0"}`, `{"jsonrpc":"2.0"}`},
		{"an array", "application/json", "", `[{"id":1}]`, `[{"id":1}]`},
		{"null", "application/json", "", `{"id":null,"error":{}}`, `{"id":2,"error":{}}`},
		{"two", "application/json", "", `{"id":1,"id":3}`, `{"id":2,"id":2}`},
		{"a suffix", "application/x+json; charset=utf-8", "", `{"id":1}`, `{"id":2}`},
		{"identity", "application/json", "identity", `{"id":1}`, `{"id":2}`},
		{"compressed text", "text/plain", "gzip", "\x1f\x8b", "\x1f\x8b"},
		{"compressed JSON", "application/json", "gzip", "\x1f\x8b", "not-replayable"},
		{"a stream", "text/event-stream", "", "data: {}\n\n", "not-replayable"},
	} {
		s := newSite(t, oneRoute(speaking(t, "acp-mcp")), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", tt.media)
			if tt.coding != "" {
				w.Header().Set("Content-Encoding", tt.coding)
			}
			_, _ = io.WriteString(w, tt.answer)
		})
		if r := s.do(call("1", "k")); r.body != tt.answer {
			t.Errorf("%s: got %s, want the first answer as it is", tt.about, r)
		}
		r := s.do(call("2", "k"))
		if tt.want == "not-replayable" {
			if !strings.HasPrefix(r.body, `{"jsonrpc":"2.0","id":2,"error":`) || !strings.Contains(r.body, tt.want) {
				t.Errorf("%s: got %s, want that it is done", tt.about, r)
			}
		} else if r.body != tt.want || !r.replayed() {
			t.Errorf("%s: got %s, want %s", tt.about, r, tt.want)
		}
		s.ran(1)
	}
}

// A duplicate that is answered from memory, with its key in a header, has its own id too.
func TestRecalledAnswersHaveTheIDOfTheirRequest(t *testing.T) {
	t.Parallel()
	guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = guard.Close(t.Context()) })
	m, err := refrainhttp.New(guard, oneRoute(refrainhttp.Policy{
		Echo: []string{"/id"}, Fingerprint: refrainhttp.Fingerprint{Exclude: []string{"/id"}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	h := m.Wrap(tool())
	request := func(id string) (*http.Request, []byte) {
		body := `{"id":` + id + `}`
		r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(body))
		r.Header.Set("Idempotency-Key", "k")
		r.Header.Set("Content-Type", "application/json")
		return r, []byte(body)
	}
	for range 2 {
		r, _ := request("1")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	for _, id := range []string{"1", "2", `"3"`} {
		r, body := request(id)
		w := httptest.NewRecorder()
		again, ok := h.(refrainhttp.Recaller).ServeRecalled(w, r, body)
		if want := `{"jsonrpc":"2.0","id":` + id + `,"result":{"id":1}}`; !ok || again == nil || !again() || w.Body.String() != want {
			t.Errorf("%s: got %q, recalled %v; want %s", id, w.Body, ok, want)
		}
	}
}

func TestBadEchoes(t *testing.T) {
	t.Parallel()
	body := func(text, media string) refrainhttp.Policy {
		a := refrainhttp.Answer{Body: text}
		if media != "" {
			a.Header = []string{"Content-Type: " + media}
		}
		return refrainhttp.Policy{Answers: refrainhttp.Answers{Mismatch: a}}
	}
	batch := refrainhttp.Batch{Key: "/key"}
	for about, p := range map[string]refrainhttp.Policy{
		"JSON pointer":            {Echo: []string{"id"}},
		"whole body":              {Echo: []string{""}},
		"name a member":           {ScopeBody: []string{""}},
		"slash":                   {ScopeBody: []string{"name"}},
		"without quotes":          body(`{"id":"${request:/id}"}`, ""),
		"it is not JSON":          body(`{${request:/id}:1}`, "application/vnd.x+json"),
		"there is no variable":    {Answers: refrainhttp.Answers{Mismatch: refrainhttp.Answer{Header: []string{"X: ${request:/id}"}}}},
		"${request}":              body(`${request}`, ""),
		"such as /id":             body(`${request:}`, ""),
		"about one operation":     {Echo: []string{"/id"}, Batch: batch},
		"remove the scope's body": {ScopeBody: []string{"/name"}, Batch: batch},
		"${request:/…}":           {Answers: body(`{"id":${request:/id}}`, "").Answers, Batch: batch},
	} {
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), about) {
			t.Errorf("got %v, want an error about %s", err, about)
		}
	}
	for _, p := range []refrainhttp.Policy{
		body(`{"id": ${request:/id} }`, ""), body(`[${request:/id},${request:/a/b}]`, ""), body(`<p>${request:/id}</p>`, "text/html"),
	} {
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// In a body that is no JSON, what a request has is text like any other.
func TestRequestInAPage(t *testing.T) {
	t.Parallel()
	p := atOnce()
	p.Answers.Mismatch = refrainhttp.Answer{Body: `<p>${request:/id}</p>`, Header: []string{"Content-Type: text/html"}}
	s := newSite(t, oneRoute(p), charge())
	s.do(post("k", `{}`))
	if r := s.do(post("k", `{"id":"<script>"}`)); r.body != `<p>&#34;&lt;script&gt;&#34;</p>` {
		t.Errorf("got %s", r)
	}
}
