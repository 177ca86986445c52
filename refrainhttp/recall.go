package refrainhttp

import "net/http"

// A Recaller answers requests from memory, for servers that can do so before they go to any length. The handlers that
// Middleware.Wrap returns are Recallers.
type Recaller interface {
	// ServeRecalled answers the request, whose body was read, as ServeHTTP would, if it is a duplicate of an operation
	// whose outcome is in memory; see refrain.Config.Recall. For any other it does nothing and reports false. It does not
	// read the request's Body, and its answer has no trailers.
	ServeRecalled(w http.ResponseWriter, r *http.Request, body []byte) bool
}

var _ Recaller = (*protected)(nil)

// ServeRecalled implements Recaller.
func (p *protected) ServeRecalled(w http.ResponseWriter, r *http.Request, body []byte) bool {
	if safe(r.Method) || len(r.Header["Te"]) > 0 || upgrades(r) {
		return false
	}
	found := p.m.routes.find(r)
	if found == nil || found.policy.Mode != Enforce || int64(len(body)) > found.policy.Limits.RequestBody {
		return false
	}
	x := newExchange(p, found, w, r)
	var err error
	if x.key, err = found.key.read(r.Header); err != nil {
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
