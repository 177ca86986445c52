package refrainhttp

import (
	"net/http"
	"slices"

	"github.com/refrain-dev/refrain"
)

// An algorithm digests what a request means. Records outlive the release that made them: whatever changes a digest of any
// request, in canonical JSON or in what counts by default, is a new version, and the old one stays as it was.
type algorithm struct {
	version uint8
	digest  func(*fingerprinter, *http.Request, []byte, *workspace) refrain.Fingerprint // uses the workspace
}

// algorithms returns those whose records can be compared, the newest first. One that is not the newest any more stays for as
// long as a record of it may be kept, two releases at least.
func algorithms() []algorithm {
	return []algorithm{{1, (*fingerprinter).digest1}}
}

// of returns the digest of a request and its body by the newest algorithm. It uses the workspace.
func (p *fingerprinter) of(r *http.Request, body []byte, work *workspace) refrain.Fingerprint {
	return p.algorithms[0].digest(p, r, body, work)
}

// put gives the operation the fingerprint of the exchange's request, and a way to have it in older versions if there are any.
func (p *fingerprinter) put(op *refrain.Operation, x *exchange) {
	op.FingerprintVersion, op.Fingerprint = p.algorithms[0].version, p.of(x.request, x.body.b, x.work)
	if len(p.algorithms) == 1 {
		return // and no request has to pay for it
	}
	r, body, work := x.request, x.body.b, x.work // not x, which would be on the heap for every request then
	op.FingerprintAs = func(version uint8) (refrain.Fingerprint, bool) {
		i := slices.IndexFunc(p.algorithms, func(a algorithm) bool { return a.version == version })
		if i < 0 {
			return refrain.Fingerprint{}, false
		}
		return p.algorithms[i].digest(p, r, body, work), true
	}
}
