// Package proxy is the reverse proxy under the middleware of refrainhttp.
//
// Requests that own a claim go through a client of its own, which sends each exactly once and knows whether a byte of it
// left. All others take httputil.ReverseProxy, with its upgrades and streams.
package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"github.com/refrain-dev/refrain"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// Config configures a Proxy.
type Config struct {
	// Upstream is the server behind the proxy: scheme http or https, a host, and a path that is put before each request's.
	Upstream *url.URL
	// TLS is used towards an https upstream. If nil, the system's roots and TLS 1.2 or newer.
	TLS *tls.Config
	// Logger gets a line for each failure of the upstream. If nil, nothing is logged.
	Logger *slog.Logger
}

// A Proxy forwards requests to the upstream. It is the handler that refrainhttp's middleware wraps.
type Proxy struct {
	base     *url.URL
	upstream *upstream
	plain    *httputil.ReverseProxy
	log      *slog.Logger
	messages sync.Pool // of *[]byte
	buffers  sync.Pool // of *[]byte
}

// New returns a Proxy.
func New(cfg Config) *Proxy {
	p := &Proxy{base: cfg.Upstream, upstream: newUpstream(cfg.Upstream, cfg.TLS), log: cfg.Logger}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.messages.New = func() any { return new([]byte) }
	p.buffers.New = func() any {
		b := make([]byte, copySize)
		return &b
	}
	p.plain = p.newPlain(cfg.TLS)
	return p
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		noTunnel().write(w)
		return
	}
	if refrain.FromContext(r.Context()) != nil {
		p.forward(w, r)
		return
	}
	p.plain.ServeHTTP(w, r)
}

// Close closes idle connections to the upstream. Requests under way go on.
func (p *Proxy) Close() {
	p.upstream.close()
	p.plain.Transport.(*once).CloseIdleConnections()
}

// newPlain returns the way of requests that own no claim.
func (p *Proxy) newPlain(roots *tls.Config) *httputil.ReverseProxy {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(p.base)
			r.Out.Host = r.In.Host
			forwarding(r.In).set(r.Out.Header)
			maps.DeleteFunc(r.Out.Header, func(name string, _ []string) bool {
				return refrainhttp.IsOwn(name) || mimics(name) // what they say comes from a claim, and this request has none
			})
		},
		Transport: &once{http.Transport{
			DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSClientConfig:     roots.Clone(),
			TLSHandshakeTimeout: dialTimeout,
			MaxIdleConnsPerHost: maxIdle,
			IdleConnTimeout:     idleLifetime,
			DisableCompression:  true, // answers pass as they are
			Protocols:           protocols,
		}},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if neverLeft(err) {
				p.fail(w, r, fmt.Errorf("%w: %w", errNotSent, err))
				return
			}
			p.fail(w, r, sayable(err))
		},
		ErrorLog:   slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
		BufferPool: pool{&p.buffers},
	}
}

// once is a transport that does not send a request again by itself, but for safe methods.
type once struct{ http.Transport }

// RoundTrip hides the Idempotency-Key from the transport, which would take it as leave to send again a request without a
// body: under a name in lower case it is sent but not looked at.
func (t *once) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, name := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, ok := r.Header[name]; ok {
			delete(r.Header, name)
			r.Header[strings.ToLower(name)] = values
		}
	}
	return t.Transport.RoundTrip(r)
}

// neverLeft reports whether the transport got no connection to send a request on: the upstream cannot have run it. Where it may
// send a request again, as a safe one, it may have had one before.
func neverLeft(err error) bool {
	var network *net.OpError
	var untrusted *tls.CertificateVerificationError
	return errors.As(err, &network) && network.Op == "dial" || errors.As(err, &untrusted)
}

// sayable returns an error that may be logged: one of the transport can quote what the upstream sent.
func sayable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return unreadable(err)
}

type pool struct{ *sync.Pool }

func (p pool) Get() []byte  { return *p.Pool.Get().(*[]byte) }
func (p pool) Put(b []byte) { p.Pool.Put(&b) }
