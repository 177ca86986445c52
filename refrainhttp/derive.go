package refrainhttp

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/refrain-dev/refrain"
)

// A derivation gives keys to requests that have none: see Key.DeriveWindow.
type derivation struct {
	operation refrain.Policy
	anyone    bool // there are no principals to tell apart
}

// newDerivation returns that of the policy, whose defaults are explicit and whose keyed operations have op, or nil.
func newDerivation(p *Policy, op refrain.Policy) (*derivation, error) {
	window := p.Key.DeriveWindow
	switch {
	case window == 0:
		return nil, nil
	case window < 0:
		return nil, errors.New("the window is negative")
	case p.Key.Required:
		return nil, errors.New("a required key is never derived; make it optional, or remove the window")
	case p.Mode == Refuse:
		return nil, errors.New("mode refuse takes no keys; remove the window")
	case p.Fingerprint.Body == BodyNone:
		return nil, errors.New("requests with different bodies would be one operation; compare the bodies, or remove the window")
	}
	for _, part := range [...]string{"method", "path", "query"} {
		if !slices.Contains(p.Fingerprint.Of, part) {
			return nil, errors.New("requests that differ in their " + part + " would be one operation; add it to what is compared")
		}
	}
	return &derivation{operation: derivedPolicy(op, window), anyone: slices.Contains(p.Principal, "none")}, nil
}

// derivedPolicy returns the policy of operations with a derived key. Their outcome is kept for the window from the moment it
// is recorded, not from the claim, so that a duplicate of a slow execution gets it too, and leaves no tombstone: after the
// window an equal request is another operation. So it is also after one that ended unknown, for its client has no way to send
// a new key: that is held until nothing of it can be under way any more and the window has passed.
func derivedPolicy(p refrain.Policy, window time.Duration) refrain.Policy {
	p.Retention, p.Tombstone = window, -1
	if p.Unknown != refrain.Rerun {
		p.Unknown = refrain.Probe
		p.Quiet = p.WithDefaults().Timeout + window
	}
	return p
}

// derives reports whether the request, which has no key, gets one. One from a caller who is not known for certain, or not alone
// with his principal, does not: two strangers who send the same are not one.
func (x *exchange) derives() bool {
	d := x.plan.derive
	if d == nil || upgrades(x.request) {
		return false
	}
	var err error
	x.caller, err = x.plan.scope.caller(x.request)
	x.key.derived = err == nil && (d.anyone || x.caller.private())
	return x.key.derived
}

// name makes the fingerprint the operation's key, together with the host: to another one it is another request, and there is no
// mismatch that would tell. No client's key begins with a zero byte.
func (d *derivation) name(op *refrain.Operation, host string, work *workspace) {
	const mark = "\x00derived"
	work.key = append(append(append(work.key[:0], mark...), op.Fingerprint[:]...), siteOf(host)...)
	sum := sha256.Sum256(work.key[len(mark):])
	work.key = append(work.key[:len(mark)], sum[:]...)
	op.KeyBytes = work.key
	op.Policy, op.Probe = &d.operation, over
}

// siteOf returns the name in a host, "" for an address: that is a machine's, and a duplicate may come by way of another.
func siteOf(host string) string {
	name := foldHost(host)
	if name == "" || !isDigit(name[len(name)-1]) && name[len(name)-1] != ']' {
		return name // nearly always, and to find out that it is no address costs something
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return ""
	}
	return name
}

// over is the probe of operations with a derived key: the one that nobody knows about is over.
func over(context.Context, refrain.Record) (refrain.Finding, error) {
	return refrain.Finding{Answer: refrain.DidNotHappen}, nil
}

// outgrows lets a request through whose body is too long to derive its key from. It reports false for any other.
func (x *exchange) outgrows(err error) bool {
	if !x.key.derived || !errors.Is(err, errTooLarge) {
		return false
	}
	body := &bodyReader{rest: x.body.b, tail: x.request.Body}
	defer body.end()
	r := *stripped(x.request)
	r.Body = body
	x.m.passOn(x.next, x.client, &r, nil)
	x.report(StatusUnkeyed, 0, problemNone)
	return true
}
