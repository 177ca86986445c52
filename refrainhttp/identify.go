package refrainhttp

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/refrain-dev/refrain"
)

// ErrNoOperation says that a request stands for no operation.
var ErrNoOperation = errors.New("the request stands for no operation")

// Identify returns the ID of the operation that a request stands for, and the pattern that it matches: by its method, host and
// path, by what holds its key, and by what its principal is found in. Of its body it reads no more than a keyed request may
// have, and that only where a key, or what it is bound to, is in it. The error is ErrNoOperation.
func (m *Middleware) Identify(r *http.Request) (id refrain.ID, pattern string, err error) {
	e := m.Explain(r)
	if !e.Protected && (e.Policy.Mode != Observe || safe(r.Method)) {
		return id, e.Pattern, fmt.Errorf("%w: %s", ErrNoOperation, e.Why)
	}
	p := m.routes.find(r)
	body, work := m.buffers.get(), m.buffers.workspace()
	defer m.buffers.put(body)
	defer m.buffers.putWorkspace(work)
	if p.key.inBody || len(p.scope.members) > 0 {
		if err := readBody(body, r, p.policy.Limits.RequestBody, &holding{}); err != nil {
			return id, p.pattern, fmt.Errorf("%w: %w", ErrNoOperation, err)
		}
	}
	key, err := p.key.read(r, body.b, work)
	if err == nil && key.none() {
		err = errNoKey
	}
	if err != nil {
		return id, p.pattern, fmt.Errorf("%w: %w", ErrNoOperation, err)
	}
	who, err := p.scope.caller(r)
	if err != nil {
		return id, p.pattern, fmt.Errorf("%w: %w", ErrNoOperation, err)
	}
	op := refrain.Operation{Key: key.value, KeyBytes: key.built}
	op.Scope = p.scope.bind(p.scope.of(r, who.principal), body.b, work)
	return m.guard.ID(op), p.pattern, nil
}
