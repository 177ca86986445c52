package refrainhttp

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// A Lifetime says where an API tells its clients how long keys protect, as catalogs of Apache Iceberg do with
// idempotency-key-lifetime in GET /v1/config.
type Lifetime struct {
	Match  string // the pattern of the request: "GET /v1/config"
	Member string // the member of its answer, a JSON object; one that the API itself has stays
}

// A lifetime adds the member to answers.
type lifetime struct {
	mux    *http.ServeMux
	member []byte // the member as it is written, with its value
	name   string
	limit  int64
}

func newLifetime(m *Middleware) *lifetime {
	l := &lifetime{mux: http.NewServeMux(), name: m.lifetime.Member, limit: defaultLimit}
	l.mux.Handle(m.lifetime.Match, http.NotFoundHandler())
	l.member = append(appendQuoted(nil, []byte(l.name)), ':')
	l.member = appendQuoted(l.member, []byte(iso8601(m.shortestRetention())))
	return l
}

// shortestRetention returns what holds on every route.
func (m *Middleware) shortestRetention() time.Duration {
	shortest := time.Duration(0)
	for _, p := range m.routes.plans {
		d := p.policy.Operation.WithDefaults().Retention
		if failed := p.policy.Outcomes.Failures.Retention; failed > 0 {
			d = min(d, failed)
		}
		if shortest == 0 || d < shortest {
			shortest = d
		}
	}
	return shortest
}

func (l *lifetime) matches(r *http.Request) bool {
	_, pattern := l.mux.Handler(r)
	return pattern != ""
}

// serve asks next for an answer without coding and without conditions, and adds the member to it.
func (l *lifetime) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	r = r.Clone(r.Context())
	for _, name := range [...]string{"Accept-Encoding", "If-None-Match", "If-Modified-Since", "Range"} {
		r.Header.Del(name) // what they are about is not what the client will get
	}
	held := &heldWriter{client: w, header: w.Header(), limit: l.limit}
	next.ServeHTTP(held, r)
	if held.passing {
		return
	}
	body := l.extend(held.status, held.body.Bytes())
	h := w.Header()
	h.Del("ETag")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if held.status != 0 {
		w.WriteHeader(held.status)
	}
	_, _ = w.Write(body)
}

// extend returns a body with the member, or as it was.
func (l *lifetime) extend(status int, body []byte) []byte {
	var doc map[string]json.RawMessage
	if status != 0 && status != http.StatusOK || json.Unmarshal(body, &doc) != nil || doc == nil || doc[l.name] != nil {
		return body
	}
	start := bytes.IndexByte(body, '{') + 1
	out := append(bytes.Clone(body[:start]), l.member...)
	if len(doc) > 0 {
		out = append(out, ',')
	}
	return append(out, body[start:]...)
}

// A heldWriter holds an answer back, up to a limit.
type heldWriter struct {
	client  http.ResponseWriter
	header  http.Header
	limit   int64
	status  int
	body    bytes.Buffer
	passing bool // the answer is too long, and flows
}

// Header implements http.ResponseWriter.
func (w *heldWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *heldWriter) WriteHeader(status int) {
	switch {
	case status < http.StatusOK:
		w.client.WriteHeader(status)
	case w.status == 0:
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *heldWriter) Write(b []byte) (int, error) {
	if !w.passing && int64(w.body.Len()+len(b)) <= w.limit {
		return w.body.Write(b)
	}
	if !w.passing {
		w.passing = true
		if w.status != 0 {
			w.client.WriteHeader(w.status)
		}
		if _, err := w.client.Write(w.body.Bytes()); err != nil {
			return 0, err
		}
	}
	return w.client.Write(b)
}
