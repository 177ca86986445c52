package refrainhttp

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/refrain-dev/refrain"
)

// A Probe is a request that asks an API whether an operation happened. It must change nothing there. Its answer counts only
// when it is whole, no longer than Limits.ResponseBody, and came within Operation.ProbeTimeout; redirects are not followed.
// An answer that meets both expectations, or neither, tells nothing.
//
// The URL and the header lines may hold variables:
//
//	${key}          the key, without the quotes of an RFC 9651 String, however the client wrote it; a UUID in lower case if the
//	                policy's keys must be UUIDs
//	${attempt}      the name of the execution in question: its Idempotency-Attempt
//	${path:NAME}    what the request's path has in place of the pattern's {NAME}
//	${header:NAME}  a field of the retry's header, in header lines only
//
// In the URL they are escaped. A path cannot hold every value: one that is empty, that is or becomes a dot segment, or that has
// a slash, a backslash or a percent sign, is not asked about. Nor is one with a control character in a header line.
type Probe struct {
	// Method is GET or HEAD. If empty, GET.
	Method string
	// URL is absolute, http or https, or begins with a slash: then it goes behind Base, which is taken as it stands. Scheme and
	// host hold no variable.
	URL, Base string
	// Header lists header lines, "Name: value".
	Header []string
	// Happened and DidNotHappen say what the answers mean. Happened is needed. DidNotHappen has the operation run again: see
	// refrain.ProbeFunc for how sure it must be.
	Happened, DidNotHappen Expectation
	// Answer is Tombstone if empty.
	Answer ProbeAnswer
}

// A ProbeAnswer says what duplicates get of an operation that a probe found to have happened.
type ProbeAnswer string

// The answers.
const (
	Tombstone   ProbeAnswer = "tombstone" // word that it is done
	ReplayProbe ProbeAnswer = "replay"    // the probe's answer, as if it were the operation's own
)

// An Expectation is what an answer must look like. The zero Expectation is that nothing is expected: no answer meets it.
type Expectation struct {
	// Status lists classes ("2xx") and single statuses ("404"). If nil and there is a Pointer, 2xx.
	Status []string
	// Pointer, if not empty, is a JSON pointer (RFC 6901) into the body, a document of JSON, to what must be one of Equals.
	// If Equals is nil, it must be there and neither null, false, zero nor empty.
	Pointer string
	// Equals lists strings, or other values as canonical JSON writes them: 100, true, null, [].
	Equals []string
}

func (e *Expectation) isZero() bool { return e.Status == nil && e.Pointer == "" && e.Equals == nil }

// A ProbeError says which field of a Probe is wrong, by its name in Refrain's file: url, happened.status.
type ProbeError struct {
	Field string
	Err   error
}

func (e *ProbeError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the field.
func (e *ProbeError) Unwrap() error { return e.Err }

func wrongProbe(field, format string, args ...any) error {
	return &ProbeError{field, fmt.Errorf(format, args...)}
}

// ValidateProbe reports what is wrong with the policy's Probe, as a *ProbeError, on routes with that pattern. Without a
// pattern, what depends on it is not looked at.
func (p *Policy) ValidateProbe(pattern string) error {
	with := p.WithDefaults()
	_, err := newInquiry(&with, pattern)
	return err
}

// An inquiry is a Probe compiled for one pattern.
type inquiry struct {
	method       string
	url          probeURL
	header       []mark
	params       map[string]param // the wildcards of the pattern that are asked for
	happened     *expectation     // nil: nothing is expected
	didNotHappen *expectation
	replay       bool
	limit        int64 // of an answer's body
}

// newInquiry returns nil for a policy that asks nobody.
func newInquiry(p *Policy, pattern string) (*inquiry, error) {
	if p.Probe.URL == "" && p.Operation.Unknown != refrain.Probe {
		return nil, nil
	}
	q := &inquiry{method: p.Probe.Method, replay: p.Probe.Answer == ReplayProbe, limit: p.Limits.ResponseBody}
	if err := q.compile(&p.Probe); err != nil {
		return nil, err
	}
	if err := q.checkVariables(p, pattern); err != nil {
		return nil, err
	}
	if p.Operation.Unknown != refrain.Probe || p.Mode != Enforce {
		return nil, nil
	}
	return q, nil
}

func (q *inquiry) compile(p *Probe) (err error) {
	if q.url, err = newProbeURL(p.URL, p.Base); err != nil {
		return &ProbeError{"url", unquoted(err)}
	}
	if q.header, err = newMarks(p.Header, []string{varKey, varAttempt, varPath, varHeader}); err != nil {
		return &ProbeError{"headers", unquoted(err)}
	}
	if err := checkProbeHeader(q.header); err != nil {
		return err
	}
	if q.happened, err = newExpectation(&p.Happened, "happened"); err != nil {
		return err
	}
	if q.didNotHappen, err = newExpectation(&p.DidNotHappen, "did_not_happen"); err != nil {
		return err
	}
	return q.checkAnswers(p)
}

// unquoted returns an error of newMarks or newTemplate without the text that it quotes, which may hold a credential.
func unquoted(err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		return cause
	}
	return err
}

// checkProbeHeader sees to it that the host stays the URL's, and its framing the client's business.
func checkProbeHeader(lines []mark) error {
	for _, m := range lines {
		switch {
		case m.name == "Host" && m.fixed == nil:
			return wrongProbe("headers", "the host must not depend on a request; write it without a variable")
		case slices.Contains([]string{"Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Te", "Trailer"}, m.name):
			return wrongProbe("headers", "%s is about the connection, which is not the probe's; remove it", m.name)
		}
	}
	return nil
}

func (q *inquiry) checkAnswers(p *Probe) error {
	isHead := p.Method == http.MethodHead
	switch {
	case p.Method != http.MethodGet && !isHead:
		return wrongProbe("method", "%q may change something; a probe is a GET or a HEAD", p.Method)
	case q.happened == nil && q.didNotHappen == nil:
		return wrongProbe("url", "nothing is expected of its answer, so none would tell; say under happened, and under "+
			"did_not_happen if the API knows, what it must look like")
	case q.happened == nil:
		return wrongProbe("url", "no answer would say that the operation happened, so it would stay unknown for good; say under "+
			"happened what the answer looks like then")
	case p.Answer != Tombstone && p.Answer != ReplayProbe:
		return wrongProbe("answer", "%q is none of tombstone, replay", p.Answer)
	case isHead && q.replay:
		return wrongProbe("answer", "the answer to HEAD has no body to replay; use GET, or tombstone")
	case isHead && p.Happened.Pointer != "":
		return wrongProbe("happened.pointer", "the answer to HEAD has no body; use GET")
	case isHead && p.DidNotHappen.Pointer != "":
		return wrongProbe("did_not_happen.pointer", "the answer to HEAD has no body; use GET")
	}
	if q.didNotHappen == nil || q.happened.at != nil && q.didNotHappen.at != nil {
		return nil
	}
	for s := range q.happened.status {
		if q.happened.status[s] && q.didNotHappen.status[s] {
			return wrongProbe("did_not_happen.status", "%d is also in happened.status; remove it from one, or tell them apart by "+
				"a pointer in each: without one any body will do, and what meets both tells nothing", s+100)
		}
	}
	return nil
}

// checkVariables sees to it that the probe names one operation, with what requests of the pattern have.
func (q *inquiry) checkVariables(p *Policy, pattern string) error {
	names := false
	if q.replay && p.Batch.Key != "" {
		return wrongProbe("answer", "the answer to a probe is no answer to a batch; use tombstone")
	}
	for field, t := range q.templates() {
		for _, s := range t {
			place, name, _ := strings.Cut(s.text, ":")
			switch {
			case !s.variable:
			case place == "path":
				if err := q.wantParam(field, name, pattern); err != nil {
					return err
				}
			case place == "header" && !isToken(name):
				return wrongProbe(field, "%q is not a header name", name)
			case place == varAttempt && p.Batch.Key != "":
				return wrongProbe(field, "an item of a batch has no attempt that the API is told of; use ${key} instead of ${attempt}")
			case place == varKey && slices.ContainsFunc(p.Key.From, isTuple):
				return wrongProbe(field, "a key of several parts has no one spelling; use ${attempt} instead of ${key}")
			}
			names = names || s.variable && (place == varKey || place == varAttempt)
		}
	}
	if !names {
		return wrongProbe("url", "it is the same for every operation; it needs ${key} or ${attempt}, here or in headers")
	}
	return nil
}

func isTuple(from string) bool { return strings.HasPrefix(from, fromTuple+":") }

// templates returns all of the inquiry, with the fields that they stand in.
func (q *inquiry) templates() func(yield func(string, template) bool) {
	return func(yield func(string, template) bool) {
		if !yield("url", q.url.path) || !yield("url", q.url.query) {
			return
		}
		for _, m := range q.header {
			if !yield("headers", m.template) {
				return
			}
		}
	}
}

// wantParam has the inquiry look at a wildcard of the pattern.
func (q *inquiry) wantParam(field, name, pattern string) error {
	if pattern == "" {
		return nil
	}
	p, ok := findParam(pattern, name)
	if !ok || p.rest {
		return wrongProbe(field, "${path:%s}: there is no {%s} in %q; use one that stands for one segment", name, name, pattern)
	}
	if q.params == nil {
		q.params = make(map[string]param)
	}
	q.params[name] = p
	return nil
}
