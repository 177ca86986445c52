package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// An authority signs certificates, for servers and clients alike.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	leaf := a.issue("an authority")
	a.cert, a.key = leaf.Leaf, leaf.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// issue returns a new certificate of that name for the loopback address; the authority's own as long as it has none.
func (a *authority) issue(name string) tls.Certificate {
	return a.issueUntil(name, time.Now().Add(time.Hour))
}

func (a *authority) issueUntil(name string, end time.Time) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: a.cert == nil,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: end, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// writePEM writes a certificate and its key into files.
func writePEM(t *testing.T, dir string, c tls.Certificate) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})))
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
}

// writeAuthorities writes the file of those who vouch for clients.
func writeAuthorities(t *testing.T, dir string, all ...*authority) {
	t.Helper()
	var text strings.Builder
	for _, a := range all {
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "ca.pem"), text.String())
}

// encrypted starts a proxy with encryption, whose principals are certificates that the authority has signed.
func encrypted(t *testing.T, up *ledger, a *authority) (p *process, dir string) {
	t.Helper()
	dir = t.TempDir()
	writePEM(t, dir, a.issue("a server"))
	writeAuthorities(t, dir, a)
	text := "upstream: " + up.URL + "\nstore: \"memory:\"\ntls: { certificate: DIR/cert.pem, key: DIR/key.pem, client_ca: DIR/ca.pem }\n" +
		"defaults:\n  scope: { principal: [mtls, header:X-Account] }\n"
	return start(t, "--config", write(t, filepath.Join(dir, "refrain.yaml"), strings.ReplaceAll(text, "DIR", dir))), dir
}

// showing returns a caller with encryption who shows certificates, if any.
func (a *authority) showing(p *process, http2 bool, own ...tls.Certificate) caller {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: own, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: http2,
	}
	a.t.Cleanup(transport.CloseIdleConnections)
	return caller{p, &http.Client{Transport: transport}, "https://" + p.listen}
}

// A certificate is a principal, a renewed one is the same, and who has none is asked for the next.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		up, a := newLedger(t), newAuthority(t)
		p, _ := encrypted(t, up, a)
		alice := a.showing(p, http2, a.issue("alice"))
		alice.post("/charges", "k1").want(t, "alice", http.StatusCreated, "executed")
		again := alice.post("/charges", "k1")
		if again.want(t, "alice again", http.StatusCreated, "replayed"); (again.proto == 2) != http2 {
			t.Errorf("got HTTP/%d, asked for HTTP/2: %t", again.proto, http2)
		}
		a.showing(p, http2, a.issue("alice")).post("/charges", "k1").want(t, "a renewed one", http.StatusCreated, "replayed")
		a.showing(p, http2, a.issue("bob")).post("/charges", "k1").want(t, "bob", http.StatusCreated, "executed")
		nobody := a.showing(p, http2)
		nobody.post("/charges", "k1").want(t, "nobody", http.StatusCreated, "executed")
		nobody.post("/charges", "k1", "X-Account: alice").want(t, "an account", http.StatusCreated, "executed")
		if n := up.counts()["k1"]; n != 4 {
			t.Errorf("got %d executions, want 4", n)
		}
		forger := a.showing(p, http2, newAuthority(t).issue("alice"))
		req, err := p.request("/charges", "k1")
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Scheme = "https"
		if resp, err := forger.client.Do(req); err == nil {
			resp.Body.Close()
			t.Errorf("a certificate of an unknown authority got %d, want no connection", resp.StatusCode)
		}
	}
}

// The upstream is told what the client spoke, and plain requests are not answered.
func TestEncryptionIsTold(t *testing.T) {
	t.Parallel()
	up, a := newLedger(t), newAuthority(t)
	told := make(chan http.Header, 1)
	up.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told <- r.Header })
	p, _ := encrypted(t, up, a)
	a.showing(p, true).post("/charges", "k1")
	if got := (<-told).Get("X-Forwarded-Proto"); got != "https" {
		t.Errorf("got X-Forwarded-Proto %q, want https", got)
	}
	if resp, _, err := p.post("/charges", "k1"); err == nil && resp.StatusCode == http.StatusOK {
		t.Error("a plain request is answered")
	}
}

// A reload takes a renewed certificate, and a broken one leaves the old in force.
func TestReloadRenewsTheCertificate(t *testing.T) {
	t.Parallel()
	up, a := newLedger(t), newAuthority(t)
	p, dir := encrypted(t, up, a)
	serial := func() *big.Int {
		roots := x509.NewCertPool()
		roots.AddCert(a.cert)
		conn, err := tls.Dial("tcp", p.listen, &tls.Config{RootCAs: roots})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber
	}
	renewed := a.issue("a server")
	writePEM(t, dir, renewed)
	p.signal(syscall.SIGHUP)
	p.await("configuration reloaded")
	if got := serial(); got.Cmp(renewed.Leaf.SerialNumber) != 0 {
		t.Errorf("got certificate %v, want %v", got, renewed.Leaf.SerialNumber)
	}
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	refused := 0
	for what, spoil := range map[string]func(){
		"no key":         func() { _ = os.Remove(key) },
		"half a key":     func() { truncate(t, key) },
		"half of it":     func() { truncate(t, cert) },
		"nothing":        func() { write(t, cert, "") },
		"another's key":  func() { pair := readFile(t, key); writePEM(t, dir, a.issue("a server")); write(t, key, pair) },
		"an expired one": func() { writePEM(t, dir, a.issueUntil("a server", time.Now().Add(-time.Minute))) },
	} {
		writePEM(t, dir, a.issue("a server"))
		spoil()
		p.signal(syscall.SIGHUP)
		refused++
		eventually(t, "refusal of "+what, func() bool {
			return strings.Count(p.log.String(), "configuration not reloaded, the old one stays in force") == refused
		})
		if got := serial(); got.Cmp(renewed.Leaf.SerialNumber) != 0 {
			t.Errorf("%s: got certificate %v after a broken reload, want %v", what, got, renewed.Leaf.SerialNumber)
		}
	}
	write(t, filepath.Join(dir, "refrain.yaml"), "upstream: "+up.URL+"\n")
	p.signal(syscall.SIGHUP)
	if line := p.await("this change takes a restart"); line["setting"] != "store" && line["setting"] != "tls" {
		t.Errorf("got %v, want it to name what does not change", line)
	}
	a.showing(p, false).post("/charges", "k1").want(t, "still encrypted", http.StatusCreated, "executed")
}

// Whom an authority vouched for is nobody when a reload takes the authority away, also on a connection that is there.
func TestReloadTakesAnAuthorityAway(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		up, old, renewed := newLedger(t), newAuthority(t), newAuthority(t)
		p, dir := encrypted(t, up, old)
		reloads := 0
		reload := func(all ...*authority) {
			writeAuthorities(t, dir, all...)
			p.signal(syscall.SIGHUP)
			reloads++
			eventually(t, "reload", func() bool { return strings.Count(p.log.String(), `"configuration reloaded"`) == reloads })
		}
		var dialled atomic.Int64
		alice := old.showing(p, http2, old.issue("alice"))
		alice.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialled.Add(1)
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		alice.post("/charges", "k1").want(t, "alice", http.StatusCreated, "executed")
		reload(old, renewed)
		alice.post("/charges", "k1").want(t, "alice, with two authorities", http.StatusCreated, "replayed")
		if n := dialled.Load(); n != 1 {
			t.Errorf("got %d connections, want that alice keeps hers", n)
		}
		reload(renewed)
		for range 2 {
			req, err := p.request("/charges", "k1")
			if err != nil {
				t.Fatal(err)
			}
			req.URL.Scheme = "https"
			if resp, err := alice.client.Do(req); err == nil {
				resp.Body.Close()
				t.Errorf("HTTP/2 %t: without her authority alice got %d %q, want no answer", http2, resp.StatusCode,
					resp.Header.Get("Idempotency-Status"))
			}
		}
		if n := dialled.Load(); n < 2 {
			t.Errorf("HTTP/2 %t: alice is left with a connection that is of no use", http2)
		}
		old.showing(p, http2, renewed.issue("bob")).post("/charges", "k1").want(t, "bob", http.StatusCreated, "executed")
		if n := up.counts()["k1"]; n != 2 {
			t.Errorf("got %d executions, want one for alice and one for bob", n)
		}
	}
}

// A proxy whose certificate has expired serves whoever does not look at it, and check tells.
func TestExpiredCertificateIsTold(t *testing.T) {
	t.Parallel()
	up, a := newLedger(t), newAuthority(t)
	dir := t.TempDir()
	writePEM(t, dir, a.issueUntil("a server", time.Now().Add(-time.Minute)))
	file := write(t, filepath.Join(dir, "refrain.yaml"), fmt.Sprintf("upstream: %s\nstore: \"memory:\"\ntls: { certificate: %s, key: %s }\n",
		up.URL, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")))
	if got := command("check", "--config", file); got.status != statusFault || !strings.Contains(got.stdout, "and not now") {
		t.Errorf("check: got status %d and\n%s", got.status, got.stdout)
	}
	p := start(t, "--config", file)
	p.await("clients that look at it will not connect")
	p.signal(syscall.SIGHUP)
	p.await("configuration reloaded")
}

// truncate leaves half of a file.
func truncate(t *testing.T, name string) {
	t.Helper()
	text := readFile(t, name)
	write(t, name, text[:len(text)/2])
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
