package refrainhttp

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// routes finds the plan for a request.
type routes struct {
	mux *http.ServeMux
	// without routes:
	post, patch *plan

	plans    []*plan  // of all patterns, in the order of the configuration
	inboxes  *inboxes // nil if nothing has to be signed
	hosts    bool     // a pattern has a host
	worded   bool     // a policy has words of its own for a handler that fails
	keyNames []string // of the header fields that hold keys, on any route
}

// namesKey reports whether a header field of that name may hold a key.
func (rs *routes) namesKey(name []byte) bool {
	for _, k := range rs.keyNames {
		if len(k) == len(name) && strings.EqualFold(k, string(name)) {
			return true
		}
	}
	return false
}

// noteKeys notes the names of a plan's key fields.
func (rs *routes) noteKeys(p *plan) {
	for _, name := range p.key.headers {
		if !slices.Contains(rs.keyNames, name) {
			rs.keyNames = append(rs.keyNames, name)
		}
	}
}

// A matched is a plan in disguise: the mux is used for its matching, never to serve.
type matched struct{ plan *plan }

func (matched) ServeHTTP(http.ResponseWriter, *http.Request) {}

func newRoutes(cfg *Config) (rs *routes, err error) {
	if len(cfg.Routes) > 0 {
		rs, err = newMux(cfg)
	} else {
		rs, err = newPair(cfg)
	}
	if err == nil {
		rs.inboxes = newInboxes(rs.plans)
		rs.worded = slices.ContainsFunc(rs.plans, func(p *plan) bool { return p.speech.words[problemUnanswered].body != nil })
	}
	return rs, err
}

// newPair returns the routes of a configuration without any.
func newPair(cfg *Config) (*routes, error) {
	post, err := compile("POST /", cfg.Policy, cfg.Sources)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	patch, err := compile("PATCH /", cfg.Policy, cfg.Sources)
	rs := &routes{post: post, patch: patch, plans: []*plan{post, patch}}
	rs.noteKeys(post)
	return rs, err
}

func newMux(cfg *Config) (*routes, error) {
	rs := &routes{mux: http.NewServeMux()}
	for i, route := range cfg.Routes {
		if len(route.Match) == 0 {
			return nil, fmt.Errorf("route %d: match is empty; give it a pattern such as \"POST /charges\"", i+1)
		}
		for _, pattern := range route.Match {
			p, err := compile(pattern, route.Policy, cfg.Sources)
			if err == nil {
				err = rs.add(pattern, p)
			}
			if err != nil {
				return nil, fmt.Errorf("route %d (%s): %w", i+1, pattern, err)
			}
		}
	}
	return rs, nil
}

// add registers a pattern. The mux tells what is wrong with one by a panic.
func (rs *routes) add(pattern string, p *plan) (err error) {
	defer func() {
		if v := recover(); v != nil {
			sourceLines := regexp.MustCompile(` \(registered at [^)]*\)`)
			err = fmt.Errorf("match: %s", sourceLines.ReplaceAllString(fmt.Sprint(v), ""))
		}
	}()
	if method, _, found := strings.Cut(pattern, " "); found && safe(method) {
		return fmt.Errorf("match: %s is a safe method; its keys are ignored", method)
	}
	rs.mux.Handle(pattern, matched{p})
	rs.hosts = rs.hosts || hostOf(pattern) != ""
	rs.plans = append(rs.plans, p)
	rs.noteKeys(p)
	return nil
}

// hostOf returns the host of a pattern, "" if it has none.
func hostOf(pattern string) string {
	host, _, _ := strings.Cut(pattern[strings.LastIndexByte(pattern, ' ')+1:], "/")
	return host
}

// find returns the plan for a request, or nil.
func (rs *routes) find(r *http.Request) *plan {
	p := rs.match(r)
	if rs.inboxes != nil && (p == nil || !p.isInbox()) {
		if inbox := rs.inboxes.find(r); inbox != nil {
			return inbox
		}
	}
	return p
}

// mustSign returns the plan of a request whose method is safe, if it is one to an inbox all the same: a script that reads the
// body may not look at the method.
func (rs *routes) mustSign(r *http.Request) *plan {
	if rs.inboxes == nil || r.ContentLength == 0 {
		return nil
	}
	return rs.inboxes.find(r)
}

func (rs *routes) match(r *http.Request) *plan {
	if rs.mux == nil {
		switch r.Method {
		case http.MethodPost:
			return rs.post
		case http.MethodPatch:
			return rs.patch
		}
		return nil
	}
	if rs.hosts && !isPlainHost(r.Host) { // which the mux would compare byte by byte
		c := *r
		c.Host, r = foldHost(r.Host), &c
	}
	h, _ := rs.mux.Handler(r)
	if m, ok := h.(matched); ok {
		return m.plan
	}
	// The mux would redirect an unclean path. What it stands for is protected as well as the clean one: the handler may
	// well treat them alike.
	if clean := cleaned(r); clean != nil {
		h, _ = rs.mux.Handler(clean)
	}
	m, _ := h.(matched)
	return m.plan
}

// cleaned returns the request with a clean path, or nil when it has one.
func cleaned(r *http.Request) *http.Request {
	was := r.URL.EscapedPath()
	clean := path.Clean("/" + was)
	if strings.HasSuffix(was, "/") && clean != "/" {
		clean += "/"
	}
	if clean == was {
		return nil
	}
	plain, err := url.PathUnescape(clean)
	if err != nil {
		return nil
	}
	c := *r
	c.URL = &url.URL{Path: plain, RawPath: clean, Host: r.URL.Host}
	return &c
}

// safe reports whether keys on the method are ignored.
func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodConnect:
		return true
	}
	return false
}
