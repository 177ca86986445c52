package refrainhttp

import (
	"bytes"
	"net/http"
)

// A Recaller answers requests from memory, for servers that can do so before they go to any length. The handlers that
// Middleware.Wrap returns are Recallers.
type Recaller interface {
	// MayRecall reports false if ServeRecalled cannot answer a request with that head, its request line and fields as they
	// came. It is quick.
	MayRecall(head []byte) bool
	// ServeRecalled answers the request, whose body was read, as ServeHTTP would, if it is a duplicate of an operation
	// whose outcome is in memory; see refrain.Config.Recall. For any other it does nothing and reports false. It does not
	// read the request's Body, and its answer has no trailers.
	ServeRecalled(w http.ResponseWriter, r *http.Request, body []byte) bool
}

var _ Recaller = (*protected)(nil)

// MayRecall implements Recaller.
func (p *protected) MayRecall(head []byte) bool {
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, []byte("\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !p.m.routes.namesKey(name) {
			continue
		}
		value = bytes.Trim(bytes.TrimSpace(value), `"`) // an escape inside is for ServeHTTP
		if p.m.guard.MayRecall(string(value)) {
			return true
		}
	}
	return false
}

// ServeRecalled implements Recaller.
func (p *protected) ServeRecalled(w http.ResponseWriter, r *http.Request, body []byte) bool {
	if safe(r.Method) || len(r.Header["Te"]) > 0 || upgrades(r) {
		return false
	}
	found := p.m.routes.find(r)
	if found == nil || found.policy.Mode != Enforce || found.late || found.policy.Fingerprint.Digest != DigestIgnore ||
		int64(len(body)) > found.policy.Limits.RequestBody {
		return false
	}
	x := newExchange(p, found, w, r)
	var err error
	if x.key, err = found.key.read(r, nil, nil); err != nil || found.firstSent != "" {
		return false
	}
	x.body, x.work = p.m.buffers.get(), p.m.buffers.workspace()
	defer x.release()
	x.body.b = append(x.body.b, body...)
	a, ok := p.m.guard.Recall(x.operation())
	if ok {
		x.answer(a)
	}
	return ok
}
