package peer

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/http"
	"net/url"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/principal"
)

// Certificate returns the principal that the request's client certificate names: its SPIFFE ID if it has one, and else its
// issuer and subject with all of their attributes, in their order. It is "" if there is no certificate, or none that the
// server has verified. The error is nil, ErrCertificate or ErrConnection.
//
// A SPIFFE ID stays when a certificate is renewed, whoever signs it. A subject is another principal under another issuer.
func Certificate(r *http.Request) (string, error) {
	switch {
	case r.TLS == nil && r.RemoteAddr == "":
		return "", ErrConnection
	case r.TLS == nil || len(r.TLS.VerifiedChains) == 0:
		return "", nil
	}
	leaf := r.TLS.VerifiedChains[0][0] // every chain begins with it
	if id, ok, err := spiffeID(leaf.URIs); ok || err != nil {
		return id, err
	}
	subject, ok := distinguishedName(leaf.RawSubject)
	issuer, known := distinguishedName(leaf.RawIssuer)
	if !ok || !known || subject == "" {
		return "", ErrCertificate
	}
	return principal.Of("mtls", "subject", issuer, subject), nil
}

// spiffeID returns the principal of a SPIFFE ID among the names of a certificate, and whether there is one. A certificate with
// one must have no other URI (X509-SVID section 5.2), and a path that names a workload (SPIFFE-ID section 2).
func spiffeID(uris []*url.URL) (string, bool, error) {
	for _, u := range uris {
		if u.Scheme != "spiffe" {
			continue
		}
		plain := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
		if len(uris) > 1 || u.Host == "" || len(u.Path) < 2 || u.String() != plain.String() {
			return "", false, ErrCertificate
		}
		return principal.Of("mtls", "spiffe", u.String()), true, nil
	}
	return "", false, nil
}

// distinguishedName writes a name as RFC 2253 does. x509's own String puts attributes in an order of its own. Text that is not
// Unicode, of which two could be written alike, x509 has refused.
func distinguishedName(der []byte) (string, bool) {
	var name pkix.RDNSequence
	rest, err := asn1.Unmarshal(der, &name)
	return name.String(), err == nil && len(rest) == 0
}
