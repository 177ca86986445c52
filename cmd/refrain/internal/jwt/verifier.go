// Package jwt takes principals from JSON Web Tokens (RFC 7519) that it has verified: who is named by a claim is believed only
// if a configured issuer has signed it, for this API, and the token is in force. RFC 8725 is followed throughout.
package jwt

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/principal"
)

// A Verifier verifies the tokens of requests. All of its methods may be called concurrently.
type Verifier struct {
	header  string
	issuers map[string]*trusted
	cache   cache
	stop    context.CancelFunc
	running sync.WaitGroup
}

// Open reads the keys of all issuers and keeps them fresh until Close: files are read again every 10 seconds, URLs every 5
// minutes, and both when a token has a kid that is not known or a signature that does not fit, at most every 10 seconds. While
// that fails the old keys stay in force, but without keys at the start there is no Verifier: the error says which cannot be had
// and why. ctx bounds the start only.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Verifier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	v := &Verifier{header: http.CanonicalHeaderKey(cfg.header()), issuers: make(map[string]*trusted, len(cfg.Issuers))}
	for _, i := range cfg.Issuers {
		keys, err := newKeyring(ctx, newSource(i.Keys), log.With("issuer", i.Name))
		if err != nil {
			return nil, fmt.Errorf("no token of issuer %q could be verified: %w", i.Name, err)
		}
		v.issuers[i.Name] = &trusted{Issuer: i, keys: keys, leeway: cfg.leeway()}
		if i.AnyAudience != "" {
			log.Warn("tokens that are meant for others are accepted", "issuer", i.Name, "reason", i.AnyAudience)
		}
	}
	v.start()
	return v, nil
}

func (v *Verifier) start() {
	ctx, stop := context.WithCancel(context.Background())
	v.stop = stop
	for _, i := range v.issuers {
		v.running.Go(func() { i.keys.run(ctx) })
	}
}

// Close ends the refreshing of keys and waits for that. Requests that are verified later are so with the keys that are there.
func (v *Verifier) Close() {
	v.stop()
	v.running.Wait()
}

// Principal returns who the claim of the request's token names: a string that is equal for two tokens exactly if issuer,
// claim and value are. It is "" if the request has no token. If it has one that does not verify, or does not name anyone, the
// error is one of this package's: then the request must not be taken for one without a token and be given another principal,
// since its retry with a fresh token would be a new operation. It blocks only for a kid that is not known and for a signature
// that does not fit, for at most 5 seconds.
func (v *Verifier) Principal(r *http.Request, claim string) (string, error) {
	text, err := v.bearer(r.Header)
	if err != nil || text == "" {
		return "", err
	}
	q := question{sha256.Sum256([]byte(text)), claim}
	if who, ok := v.cache.get(q); ok {
		return who, nil
	}
	found, err := v.verify(r.Context(), text, claim)
	if err != nil {
		return "", err
	}
	v.cache.put(q, found)
	return found.principal, nil
}

func (v *Verifier) verify(ctx context.Context, text, claim string) (verified, error) {
	t, err := parse(text)
	if err != nil {
		return verified{}, err
	}
	// Not yet verified, iss only says whose keys to try: no other issuer's are.
	i, ok := v.issuers[t.registered.Issuer]
	if !ok {
		return verified{}, ErrIssuer
	}
	set, err := i.verify(ctx, t)
	if err != nil {
		return verified{}, err
	}
	val, err := t.value(claim)
	if err != nil {
		return verified{}, err
	}
	who := principal.Of("jwt", i.Name, claim, val.kind, val.text)
	return verified{principal: who, until: t.expiry(), by: set, keys: i.keys}, nil
}

// bearer returns the text of the request's token, or "" if it has none: no such header, or in Authorization another scheme.
func (v *Verifier) bearer(h http.Header) (string, error) {
	lines := h[v.header]
	switch {
	case len(lines) == 0 || len(lines) == 1 && lines[0] == "":
		return "", nil
	case len(lines) > 1:
		return "", ErrDuplicate
	}
	scheme, text, spaced := strings.Cut(lines[0], " ")
	isBearer := strings.EqualFold(scheme, "Bearer")
	switch {
	case isBearer:
		text = strings.TrimLeft(text, " ")
	case v.header == defaultHeader:
		return "", nil
	case !spaced:
		text = scheme
	default:
		return "", ErrMalformed
	}
	switch {
	case text == "":
		return "", ErrMalformed
	case len(text) > maxToken:
		return "", ErrTooLarge
	}
	return text, nil
}
