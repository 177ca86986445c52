package refrainhttp

import (
	"errors"
	"fmt"
	"net/http"
)

// An Explanation says what would become of a request, and why.
type Explanation struct {
	// Protected says whether a key on the request has an effect.
	Protected bool
	// Pattern is the one that matched, empty when none did.
	Pattern string
	// Policy is that of the pattern with every default made explicit. A negative Wait there means that duplicates
	// are answered at once. Without a pattern it is zero.
	Policy Policy
	// Principal is the source that names who the request comes from, empty if none does.
	Principal Source
	// Why is one sentence for a reader.
	Why string
}

// KeySource returns that entry of its policy's Key.From which the key of a request with that body is in, whatever it is worth.
// It is empty if there is none, for a request that matches no pattern, and for a batch, whose keys are in its items.
func (m *Middleware) KeySource(r *http.Request, body []byte) string {
	p := m.routes.find(r)
	if p == nil || p.batch != nil {
		return ""
	}
	work := m.buffers.workspace()
	defer m.buffers.putWorkspace(work)
	for i := range p.key.sources {
		if _, err := p.key.readFrom(&p.key.sources[i], r, body, work); !errors.Is(err, errNoKey) {
			return p.policy.Key.From[i]
		}
	}
	return ""
}

// Explain returns what would become of a request. It goes by its method, host and path, and for the principal by whatever its
// sources look at.
func (m *Middleware) Explain(r *http.Request) Explanation {
	p := m.routes.find(r)
	if p == nil {
		return Explanation{Why: fmt.Sprintf("No route matches %s %s: it passes through untouched.", r.Method, r.URL.Path)}
	}
	e := Explanation{Pattern: p.pattern, Policy: p.policy}
	if c, _ := p.scope.caller(r); c.source != nil {
		e.Principal = c.source.source
	}
	switch {
	case safe(r.Method):
		e.Why = r.Method + " is a safe method: its key is ignored."
	case p.policy.Mode == Off:
		e.Why = fmt.Sprintf("%q matches, and its mode is off.", p.pattern)
	case p.policy.Mode == Observe:
		e.Why = fmt.Sprintf("%q is the most specific match; its mode is observe: what would happen is only reported.",
			p.pattern)
	case p.derive != nil:
		e.Protected = true
		e.Why = fmt.Sprintf("%q is the most specific match; a request without a key gets one that is derived from it, for %s. "+
			"That is weaker than a client's key.", p.pattern, p.policy.Key.DeriveWindow)
	case p.policy.Key.Required:
		e.Protected = true
		e.Why = fmt.Sprintf("%q is the most specific match; a request without a key is refused.", p.pattern)
	default:
		e.Protected = true
		e.Why = fmt.Sprintf("%q is the most specific match; a request without a key passes unprotected.", p.pattern)
	}
	return e
}
