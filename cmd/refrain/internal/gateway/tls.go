package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/proxy"
)

// OpenTLS reads the files that the configuration names, and returns nil if it names none. A client may do without a certificate;
// one that it shows must be valid.
func OpenTLS(files config.TLS) (*tls.Config, error) {
	if files.Certificate == "" {
		return nil, nil //nolint:nilnil // no encryption is no error
	}
	own, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	cfg := &tls.Config{
		Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
	}
	if files.ClientCA == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(files.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("tls: client_ca: %w", err)
	}
	cfg.ClientCAs, cfg.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
	if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("tls: client_ca: the file has no certificate in PEM")
	}
	return cfg, nil
}

// Expired returns an error if the time of the configuration's certificate is over, or yet to come.
func Expired(c *tls.Config) error {
	if c == nil {
		return nil
	}
	leaf, now := c.Certificates[0].Leaf, time.Now()
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return fmt.Errorf("tls: the certificate is valid from %s to %s, and not now",
			leaf.NotBefore.Format(time.RFC3339), leaf.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// encrypt returns the encryption that follows the old one, if there was one.
func (g *Gateway) encrypt(files config.TLS, old *tls.Config) (*tls.Config, error) {
	next, err := OpenTLS(files)
	if err != nil || next == nil {
		return nil, err
	}
	if err := Expired(next); err != nil {
		if old != nil && !old.Certificates[0].Leaf.Equal(next.Certificates[0].Leaf) {
			return nil, err // what is in force is no worse
		}
		g.log.Error("clients that look at it will not connect", "err", err)
	}
	if old != nil && old.ClientCAs.Equal(next.ClientCAs) {
		next.ClientCAs = old.ClientCAs // whom they have vouched for needs no second look
	}
	return next, nil
}

// encrypted returns the listener with the encryption of the configuration in force at each handshake. The server does not
// handshake itself: it waits for the first request, for as long as it would for one.
func encrypted(l net.Listener, inForce func() *tls.Config) net.Listener {
	return tls.NewListener(l, &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return inForce(), nil },
	})
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

// A verifiedConn is an encrypted connection, and the last authorities by whom its client's certificate was found valid.
type verifiedConn struct {
	*tls.Conn
	by atomic.Pointer[x509.CertPool]
}

// withConn notes the connection's encryption, which the server cannot see below what follows its requests.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if strict, ok := c.(*proxy.StrictConn); ok {
		if encrypted, ok := strict.Conn.(*tls.Conn); ok {
			return context.WithValue(ctx, connKey{}, &verifiedConn{Conn: encrypted})
		}
	}
	return ctx
}

// identified returns a handler whose requests have the state of their connection's encryption. Where the client's certificate is
// not valid under the configuration in force, the connection ends, as a new one would not begin.
func identified(next http.Handler, inForce func() *tls.Config) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*verifiedConn); ok {
			state := c.ConnectionState()
			if !c.valid(&state, inForce().ClientCAs) {
				_ = c.Close() // with all streams of HTTP/2: the client has to come with another certificate
				panic(http.ErrAbortHandler)
			}
			r.TLS = &state
		}
		next.ServeHTTP(w, r)
	})
}

// valid reports whether the client has shown no certificate or one of the authorities. Their pool stays the same for as long as
// they do.
func (c *verifiedConn) valid(state *tls.ConnectionState, authorities *x509.CertPool) bool {
	switch {
	case len(state.VerifiedChains) == 0:
		return true
	case authorities == nil: // not the system's
		return false
	case c.by.Load() == authorities:
		return true
	}
	between := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: authorities, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return false
	}
	c.by.Store(authorities)
	return true
}
