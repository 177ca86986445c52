package refrainhttp

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/refrain-dev/refrain"
)

// A plan is a policy compiled for one pattern: nothing is parsed or validated while a request waits.
type plan struct {
	pattern     string
	policy      Policy // with defaults, for those who ask
	operation   refrain.Policy
	key         keyReader
	scope       scoper
	fingerprint fingerprinter
	strangers   fingerprinter // of requests without a principal: two with different credentials are not the same
	classes     *classes
	probe       *inquiry // nil unless unknown operations are asked about
	speech      speech
	firstSent   string          // a header's name, or empty
	ahead       time.Duration   // how far in the future that may be
	derive      *derivation     // or nil
	sequence    *sequence       // or nil
	batch       *batching       // or nil
	sent        dates           // that it was seen with
	clock       leadingClock    // by which they are judged
	gateway     bool            // there is an API behind the handler
	late        bool            // the body is read before the key is looked for
	recalls     bool            // nothing but the request's bytes decides what a duplicate is answered
	replay      map[string]bool // names of header fields, or nil
	echoes      []echo          // of the request in a replay
}

// Validate reports what is wrong with the policy.
func (p *Policy) Validate() error {
	_, err := compile("", *p, nil)
	return err
}

func compile(pattern string, policy Policy, known Sources) (*plan, error) {
	p := &plan{pattern: pattern, policy: policy.WithDefaults()}
	var err error
	if p.classes, err = policy.Outcomes.compile(); err != nil {
		return nil, err
	}
	policy = p.policy
	p.operation = policy.Operation
	p.operation.Wait = max(0, p.operation.Wait)
	if err := p.operation.Validate(); err != nil {
		return nil, err
	}
	switch policy.Mode {
	case Enforce, Off, Refuse:
	case Observe:
		p.operation.Wait = 0 // nobody waits for what is only watched
	default:
		return nil, fmt.Errorf("mode: %q is none of enforce, observe, off, refuse", policy.Mode)
	}
	if p.probe, err = newInquiry(&policy, pattern); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	if p.key, err = newKeyReader(policy.Key); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if err := p.compileFirstSent(&policy.Key); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if p.speech, err = newSpeech(&policy.Answers); err != nil {
		return nil, fmt.Errorf("answers: %w", err)
	}
	if err := p.compileEcho(policy.Echo); err != nil {
		return nil, err
	}
	p.late = p.key.inBody || policy.Verify != nil || p.speech.asks
	if p.scope, err = newScoper(policy, pattern, known); err != nil {
		return nil, fmt.Errorf("scope: %w", err)
	}
	if p.fingerprint, err = newFingerprinter(policy.Fingerprint); err != nil {
		return nil, fmt.Errorf("fingerprint: %w", err)
	}
	if err := p.fingerprint.readWith(slices.Concat(p.key.pointers(), p.scope.members, p.echoed())); err != nil {
		return nil, err
	}
	p.strangers = p.fingerprint
	if len(p.scope.principal) > 0 {
		p.strangers.credentials = p.scope.credentials()
	}
	if err := p.compileKeys(&policy); err != nil {
		return nil, err
	}
	p.recalls = policy.Mode == Enforce && !p.late && p.firstSent == "" && p.sequence == nil && !p.scope.asks() &&
		policy.Fingerprint.Digest == DigestIgnore
	if policy.Limits.RequestBody < 0 || policy.Limits.ResponseBody < 0 {
		return nil, fmt.Errorf("limits: request body %d, response body %d; they must not be negative",
			policy.Limits.RequestBody, policy.Limits.ResponseBody)
	}
	if err := p.compileReplay(policy.ReplayHeaders); err != nil {
		return nil, err
	}
	return p, nil
}

// compileReplay notes which header fields a replay carries; nil means all.
func (p *plan) compileReplay(names []string) error {
	if names == nil {
		return nil
	}
	p.replay = map[string]bool{"Content-Type": true}
	for _, name := range names {
		canonical := http.CanonicalHeaderKey(name)
		switch p.replay[canonical] = true; {
		case !isToken(name):
			return fmt.Errorf("replay headers: %q is not a header name", name)
		case describesAttempt(canonical):
			return fmt.Errorf("replay headers: %w", attemptError(canonical))
		}
	}
	if p.replay["Set-Cookie"] && !p.scope.private() {
		return errors.New("replay headers: Set-Cookie would go to whoever uses the key; give the policy a principal")
	}
	return nil
}

// An attemptError names a header field that belongs to one attempt and that no replay has.
type attemptError string

func (e attemptError) Error() string {
	return string(e) + " belongs to one answer and is never kept; remove it"
}

// keep returns how long an answer with that status is kept, if it is final.
func (p *plan) keep(status int) refrain.Keep {
	if status >= http.StatusBadRequest {
		return p.policy.Outcomes.Failures
	}
	return refrain.Keep{}
}

// canonicalNames returns the canonical form of header names.
func canonicalNames(names []string) ([]string, error) {
	out := slices.Clone(names)
	for i, name := range names {
		if !isToken(name) {
			return nil, fmt.Errorf("%q is not a header name", name)
		}
		out[i] = http.CanonicalHeaderKey(name)
	}
	return out, nil
}
