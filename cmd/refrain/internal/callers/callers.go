// Package callers finds out who requests come from: it opens what the configuration says of tokens, proxies and certificates,
// and makes of it what the middleware asks.
package callers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/jwt"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/peer"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// Callers answers for the principals of one configuration. It may be used concurrently.
type Callers struct {
	cfg     jwt.Config
	tokens  *jwt.Verifier // nil if no issuer is trusted
	proxies peer.Trusted
}

// Open reads the keys of all issuers and keeps them fresh until Retire. What old, which may be nil, has read under the same
// configuration goes on in its place: its keys and the tokens that it has verified.
func Open(ctx context.Context, cfg *config.Config, old *Callers, log *slog.Logger) (*Callers, error) {
	c := &Callers{cfg: cfg.JWT, proxies: cfg.Proxies}
	if len(cfg.JWT.Issuers) == 0 {
		return c, nil
	}
	if old != nil && reflect.DeepEqual(old.cfg, cfg.JWT) {
		c.tokens = old.tokens
		return c, nil
	}
	v, err := jwt.Open(ctx, cfg.JWT, log)
	if err != nil {
		return nil, fmt.Errorf("jwt: %w", err)
	}
	c.tokens = v
	return c, nil
}

// Retire ends the refreshing of keys, unless next, which may be nil as c may, goes on with them. Requests that are on their
// way still get their principals.
func (c *Callers) Retire(next *Callers) {
	if c != nil && c.tokens != nil && (next == nil || next.tokens != c.tokens) {
		c.tokens.Close()
	}
}

// Sources returns what the middleware asks for principals.
func (c *Callers) Sources() refrainhttp.Sources {
	return refrainhttp.Sources{"jwt": c.token, "mtls": certificate, "trusted": c.trusted, "client-ip": c.address}
}

var errNoIssuer = errors.New("no issuer is trusted")

func (c *Callers) token(claim string) (refrainhttp.Finder, error) {
	if c.tokens == nil {
		return refrainhttp.Finder{}, errNoIssuer
	}
	return refrainhttp.Finder{
		Find:      func(r *http.Request) (string, error) { return c.tokens.Principal(r, claim) },
		Reads:     []string{c.cfg.Header},
		Challenge: `Bearer error="invalid_token"`, // RFC 6750 section 3
	}, nil
}

func certificate(string) (refrainhttp.Finder, error) {
	return refrainhttp.Finder{Find: peer.Certificate}, nil
}

func (c *Callers) trusted(header string) (refrainhttp.Finder, error) {
	return refrainhttp.Finder{
		Find:  func(r *http.Request) (string, error) { return c.proxies.Principal(r, header) },
		Reads: []string{header},
	}, nil
}

func (c *Callers) address(string) (refrainhttp.Finder, error) {
	return refrainhttp.Finder{Find: c.proxies.ClientPrincipal, Shared: true}, nil
}
