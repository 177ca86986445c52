package refrain

import "context"

// A Fingerprint is a digest of what a request means, computed by the protocol in front of the Guard.
//
// In a record and a claim it is hashed once more, with the guard's secret, and its first byte is the version of the algorithm
// that made it. So fingerprints of two versions are never equal, for whatever store compares them.
type Fingerprint [32]byte

// Version returns that of a fingerprint in a record or a claim.
func (f *Fingerprint) Version() uint8 { return f[0] }

// maxVersions bounds how often a claim is made in another version: its record can change while it is made.
const maxVersions = 3

// claim asks the store, in the version of the fingerprint that is recorded there. What was recorded in a version that nobody
// here knows may be the same request and may be another one: it is as good as unreadable.
func (a *Attempt) claim(ctx context.Context, c *Claim) (d Decision, err error) {
	for range maxVersions {
		d, err = a.guard.claim(ctx, c)
		if err != nil || d.Verdict != Mismatch || d.Record.Fingerprint.Version() == c.Fingerprint.Version() {
			return d, err
		}
		if !a.speak(&d.Record) {
			break
		}
		if a.fingerprint != d.Record.Fingerprint {
			return d, nil
		}
		c.Fingerprint = a.fingerprint
	}
	return Decision{Verdict: Unknown, Record: Unreadable(), Now: d.Now}, nil
}

// speak makes the attempt's fingerprint one of the record's version, so that the two can be compared. It reports false if
// that cannot be done here.
func (a *Attempt) speak(r *Record) bool {
	version := r.Fingerprint.Version()
	if version == a.fingerprint.Version() || r.unreadable() {
		return true
	}
	if a.fingerprintAs != nil {
		if fp, ok := a.fingerprintAs(version); ok {
			a.fingerprint = a.guard.identity.digest(&fp, version)
			return true
		}
	}
	a.guard.log.Warn("operation cannot be compared: its fingerprint is of a version that is not known here", "op", a.id,
		"route", a.Route, "version", version, "known", a.fingerprint.Version())
	return false
}
