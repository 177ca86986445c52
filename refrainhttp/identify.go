package refrainhttp

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/refrain-dev/refrain"
)

// ErrNoOperation says that a request stands for no operation.
var ErrNoOperation = errors.New("the request stands for no operation")

// Identify returns the ID of the operation that a request stands for: by its method, host and path, and by the header fields
// that hold its key and its principal. Its body is not read. The error is ErrNoOperation.
func (m *Middleware) Identify(r *http.Request) (refrain.ID, error) {
	e := m.Explain(r)
	if !e.Protected {
		return refrain.ID{}, fmt.Errorf("%w: %s", ErrNoOperation, e.Why)
	}
	p := m.routes.find(r)
	key, err := p.key.read(r.Header)
	if err != nil {
		return refrain.ID{}, fmt.Errorf("%w: %w", ErrNoOperation, err)
	}
	return m.guard.ID(refrain.Operation{Scope: p.scope.of(r), Key: key.value}), nil
}
