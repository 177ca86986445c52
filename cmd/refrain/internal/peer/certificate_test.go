package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// An authority signs certificates for clients.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	a.certificate = create(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, a.key, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func create(t *testing.T, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// issue returns a client's certificate.
func (a *authority) issue(t *testing.T, template x509.Certificate) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	leaf := create(t, &template, a.certificate, key, a.key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
}

// verified returns a request whose certificate was verified, as the server sees it.
func (a *authority) verified(t *testing.T, template x509.Certificate) *http.Request {
	t.Helper()
	leaf, err := x509.ParseCertificate(a.issue(t, template).Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return &http.Request{TLS: &tls.ConnectionState{
		PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf, a.certificate}},
	}}
}

func uris(t *testing.T, texts ...string) []*url.URL {
	t.Helper()
	all := make([]*url.URL, len(texts))
	for i, text := range texts {
		var err error
		if all[i], err = url.Parse(text); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestUnverifiedCertificatesNameNobody(t *testing.T) {
	t.Parallel()
	verified := newAuthority(t, "ca").verified(t, x509.Certificate{Subject: pkix.Name{CommonName: "alice"}})
	if got, err := Certificate(verified); got == "" || err != nil {
		t.Fatalf("got %q, %v, want a principal", got, err)
	}
	verified.TLS.VerifiedChains = nil
	for _, r := range []*http.Request{verified, {TLS: &tls.ConnectionState{}}, {RemoteAddr: "10.0.0.1:80"}} {
		if got, err := Certificate(r); got != "" || err != nil {
			t.Errorf("got %q, %v, want nothing", got, err)
		}
	}
	if got, err := Certificate(&http.Request{}); got != "" || !errors.Is(err, ErrConnection) {
		t.Errorf("without a connection: got %q, %v, want ErrConnection", got, err)
	}
}

func TestSubjectsAreBoundToTheirIssuer(t *testing.T) {
	t.Parallel()
	one, two := newAuthority(t, "one"), newAuthority(t, "two")
	alice := x509.Certificate{Subject: pkix.Name{CommonName: "alice", Organization: []string{"o"}}}
	first, err := Certificate(one.verified(t, alice))
	if err != nil {
		t.Fatal(err)
	}
	if renewed, _ := Certificate(one.verified(t, alice)); renewed != first {
		t.Error("a renewed certificate is another principal")
	}
	if other, _ := Certificate(two.verified(t, alice)); other == first {
		t.Error("the same subject of two issuers is one principal")
	}
}

func TestSubjectsNeverMeet(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ca")
	cn, o, unknown := asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.ObjectIdentifier{2, 5, 4, 10}, asn1.ObjectIdentifier{1, 2, 3}
	one := func(t asn1.ObjectIdentifier, v string) pkix.RelativeDistinguishedNameSET {
		return pkix.RelativeDistinguishedNameSET{{Type: t, Value: v}}
	}
	seen := map[string]pkix.RDNSequence{}
	for _, name := range []pkix.RDNSequence{
		{one(cn, "a")},
		{one(cn, "a"), one(cn, "b")},
		{one(cn, "b"), one(cn, "a")}, // x509's String forgets the order
		{{{Type: cn, Value: "a"}, {Type: cn, Value: "b"}}},
		{one(cn, "b,CN=a")},
		{one(cn, "a+CN=b")},
		{one(cn, "a ")},
		{one(cn, "a\\ ")},
		{one(o, "a")},
		{one(unknown, "a")},
		{one(cn, "#0c0161")},
		{one(cn, "A")},
	} {
		raw, err := asn1.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Certificate(ca.verified(t, x509.Certificate{RawSubject: raw}))
		if before, ok := seen[got]; ok || err != nil {
			t.Errorf("%v: got %q, %v, as for %v", name, got, err, before)
		}
		seen[got] = name
	}
}

func TestCertificatesThatNameNobodyAreRefused(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ca")
	for what, template := range map[string]x509.Certificate{
		"no subject":           {DNSNames: []string{"alice.example"}},
		"two SPIFFE IDs":       {URIs: uris(t, "spiffe://td/a", "spiffe://td/b")},
		"SPIFFE ID and a URI":  {URIs: uris(t, "https://example.com/", "spiffe://td/a"), Subject: pkix.Name{CommonName: "a"}},
		"a trust domain alone": {URIs: uris(t, "spiffe://td")},
		"a query":              {URIs: uris(t, "spiffe://td/a?b")},
		"a user":               {URIs: uris(t, "spiffe://root@td/a")},
	} {
		if got, err := Certificate(ca.verified(t, template)); got != "" || !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: got %q, %v, want ErrCertificate", what, got, err)
		}
	}
}

func TestASPIFFEIDStaysUnderAnotherIssuer(t *testing.T) {
	t.Parallel()
	id := x509.Certificate{URIs: uris(t, "spiffe://td/ns/shop/sa/cart"), Subject: pkix.Name{CommonName: "first"}}
	first, err := Certificate(newAuthority(t, "one").verified(t, id))
	if err != nil || first == "" {
		t.Fatalf("got %q, %v", first, err)
	}
	id.Subject.CommonName = "second"
	two := newAuthority(t, "two")
	if second, err := Certificate(two.verified(t, id)); second != first || err != nil {
		t.Errorf("got %q, %v, want %q", second, err, first)
	}
	id.URIs = uris(t, "spiffe://td/ns/shop/sa/cart2")
	if other, _ := Certificate(two.verified(t, id)); other == first {
		t.Error("two SPIFFE IDs are one principal")
	}
}

// The server decides what is verified; what it only asked for is not.
func TestCertificateOverTLS(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t, "ca"), newAuthority(t, "ca")
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	alice := x509.Certificate{Subject: pkix.Name{CommonName: "alice"}}
	for _, c := range []struct {
		auth  tls.ClientAuthType
		by    *authority
		named bool
	}{
		{tls.VerifyClientCertIfGiven, ca, true},
		{tls.RequireAndVerifyClientCert, ca, true},
		{tls.RequestClientCert, ca, false},
		{tls.RequireAnyClientCert, stranger, false},
	} {
		got := make(chan string, 1)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			who, err := Certificate(r)
			if err != nil {
				t.Error(err)
			}
			got <- who
		}))
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.TLS = &tls.Config{ClientAuth: c.auth, ClientCAs: roots}
		server.StartTLS()
		client := server.Client()
		client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{c.by.issue(t, alice)}
		resp, err := client.Get(server.URL)
		if err != nil {
			t.Fatalf("%s: %v", c.auth, err)
		}
		resp.Body.Close()
		if who := <-got; (who != "") != c.named {
			t.Errorf("%s: got %q", c.auth, who)
		}
		server.Close()
	}
}
