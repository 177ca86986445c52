package peer

import (
	"net/http"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/principal"
)

// Principal returns the principal that a trusted proxy gives in the named header. From any other peer the header counts as
// absent, and the principal is "", as it is for an absent or empty header and for one that says - or (null). The error is nil,
// ErrDuplicate or ErrConnection.
func (t Trusted) Principal(r *http.Request, header string) (string, error) {
	header = http.CanonicalHeaderKey(header)
	lines := r.Header[header]
	switch {
	case len(lines) > 0 && r.RemoteAddr == "":
		return "", ErrConnection
	case len(lines) == 0 || !t.Includes(r):
		return "", nil
	case len(lines) > 1:
		return "", ErrDuplicate
	}
	switch lines[0] {
	case "", "-", "(null)": // as proxies write what is not there
		return "", nil
	}
	return principal.Of("trusted", header, lines[0]), nil
}
