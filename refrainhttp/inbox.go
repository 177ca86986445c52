package refrainhttp

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// inboxes find the routes whose requests must be signed by what the API behind may take a request for. Whoever cannot sign
// would else get past the signature by another spelling of the path or another method: most servers do not tell /hooks/x from
// /hooks/x/ or /Hooks/X, and many scripts take any method.
type inboxes struct {
	mux    *http.ServeMux // of all patterns, folded
	method string         // of all inboxes, "" if they differ
	folds  bool           // a pattern of theirs is not what it is folded to
}

// newInboxes returns nil if no route has to be signed.
func newInboxes(plans []*plan) *inboxes {
	in := &inboxes{mux: http.NewServeMux()}
	first := slices.IndexFunc(plans, (*plan).isInbox)
	if first < 0 {
		return nil
	}
	in.method = fold(plans[first].pattern).method
	for _, p := range plans {
		if p.isInbox() {
			in.add(p)
		}
	}
	for _, p := range plans { // those that are more specific go in front
		if f := fold(p.pattern); !p.isInbox() {
			in.handle(p, f.method, f.paths)
		}
	}
	return in
}

func (p *plan) isInbox() bool { return p.policy.Verify != nil }

// add adds an inbox. It is one for every method, unless that would be so for all paths.
func (in *inboxes) add(p *plan) {
	f := fold(p.pattern)
	if f.method != in.method {
		in.method = ""
	}
	in.folds = in.folds || f.changed
	if !f.everything {
		f.method = ""
	}
	in.handle(p, f.method, f.paths)
}

func (in *inboxes) handle(p *plan, method string, paths []string) {
	for _, path := range paths {
		in.try(p, strings.TrimPrefix(method+" "+path, " "))
	}
}

// try registers a pattern, unless it is there or conflicts with one that is. The mux says so by a panic only.
func (in *inboxes) try(p *plan, pattern string) {
	defer func() { _ = recover() }()
	in.mux.Handle(pattern, matched{p})
}

// find returns the plan of the inbox that a request may be taken for, or nil.
func (in *inboxes) find(r *http.Request) *plan {
	path := r.URL.EscapedPath()
	if !in.folds && r.Method == in.method && isPlainPath(path) && isPlainHost(r.Host) {
		return nil // it was matched as it is
	}
	folded := &http.Request{Method: r.Method, Host: foldHost(r.Host), URL: &url.URL{Path: foldPath(path)}}
	h, _ := in.mux.Handler(folded)
	if m, ok := h.(matched); ok && m.plan.isInbox() {
		return m.plan
	}
	return nil
}
