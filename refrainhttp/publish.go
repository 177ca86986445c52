package refrainhttp

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// WellKnown is where Middleware.Publish tells the contract (RFC 8615). The IETF draft asks a resource to publish how it
// treats keys, and for how long.
const WellKnown = "/.well-known/idempotency"

// Publish returns a handler that tells clients the contract and leaves everything else to next, which is or wraps what Wrap
// returned:
//
//   - GET /.well-known/idempotency answers with the contracts of all patterns, as JSON.
//   - OPTIONS of a path with protected methods goes to next, and gets a Link to that. Where next does not know OPTIONS (404,
//     405, 501), it is answered with the contracts of the path. CORS preflights pass untouched.
//   - The answer that Config.Lifetime names gets its member.
func (m *Middleware) Publish(next http.Handler) http.Handler {
	all, err := json.Marshal(published{m.Contracts()})
	if err != nil {
		panic(err) // cannot be: they are strings and numbers
	}
	p := &publisher{m: m, next: next, all: append(all, '\n')}
	if m.lifetime.Match != "" {
		p.lifetime = newLifetime(m)
	}
	return p
}

type published struct {
	Routes []Contract `json:"routes"`
}

type publisher struct {
	m        *Middleware
	next     http.Handler
	all      []byte
	lifetime *lifetime // or nil
}

// ServeHTTP implements http.Handler.
func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost: // most requests
		p.next.ServeHTTP(w, r)
	case r.URL.Path == WellKnown && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		tell(w, p.all)
	case r.Method == http.MethodOptions && len(r.Header["Access-Control-Request-Method"]) == 0:
		p.options(w, r)
	case p.lifetime != nil && p.lifetime.matches(r):
		p.lifetime.serve(p.next, w, r)
	default:
		p.next.ServeHTTP(w, r)
	}
}

func tell(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Content-Type", mediaJSON)
	h.Set("Cache-Control", "max-age=60")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// options answers OPTIONS.
func (p *publisher) options(w http.ResponseWriter, r *http.Request) {
	here := p.m.contractsOf(r)
	if len(here) == 0 {
		p.next.ServeHTTP(w, r)
		return
	}
	w.Header().Add("Link", `<`+WellKnown+`>; rel="describedby"; type="application/json"`)
	o := &optionsWriter{ResponseWriter: w}
	p.next.ServeHTTP(o, r)
	if !o.refused {
		return
	}
	h := w.Header()
	for _, name := range [...]string{"Content-Encoding", "Etag", "Last-Modified", "Transfer-Encoding"} {
		h.Del(name) // of the refusal that is not given
	}
	if h.Get("Allow") == "" {
		h.Set("Allow", allowed(here))
	}
	body, err := json.Marshal(published{here})
	if err != nil {
		panic(err) // cannot be: they are strings and numbers
	}
	tell(w, append(body, '\n'))
}

// contractsOf returns the contracts of the patterns that requests to the path could match.
func (m *Middleware) contractsOf(r *http.Request) (here []Contract) {
	for _, p := range m.plansOf(r) {
		if !slices.ContainsFunc(here, func(c Contract) bool { return c.Match == p.pattern }) {
			here = append(here, p.contract())
		}
	}
	return here
}

// plansOf returns the plans of requests to the path, by whatever method.
func (m *Middleware) plansOf(r *http.Request) (here []*plan) {
	for _, method := range [...]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		c := *r
		c.Method = method
		if p := m.routes.find(&c); p != nil && p.policy.Mode != Off {
			here = append(here, p)
		}
	}
	return here
}

func allowed(here []Contract) string {
	methods := []string{http.MethodOptions}
	for _, c := range here {
		method, _, _ := strings.Cut(c.Match, " ")
		if !slices.Contains(methods, method) {
			methods = append(methods, method)
		}
	}
	return strings.Join(methods, ", ")
}

// An optionsWriter holds a refusal of OPTIONS back.
type optionsWriter struct {
	http.ResponseWriter
	wrote, refused bool
}

// WriteHeader implements http.ResponseWriter.
func (w *optionsWriter) WriteHeader(status int) {
	if w.wrote {
		return
	}
	w.wrote = status >= http.StatusOK
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		w.refused = true
	default:
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (w *optionsWriter) Write(b []byte) (int, error) {
	if w.WriteHeader(http.StatusOK); w.refused {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}
