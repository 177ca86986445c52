package refrainhttp

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/refrain-dev/refrain"
)

const (
	// maxProbes bounds the probes at one time: many operations become unknown at once, when an API is in trouble.
	maxProbes      = 16
	maxProbeHead   = 64 << 10
	probeDialLimit = 5 * time.Second
)

// A prober sends probes.
type prober struct {
	guard  *refrain.Guard
	client *http.Client
	slots  chan struct{}
}

// newProber returns a prober that speaks HTTP/1.1 on a connection for each probe, follows no redirect and takes no proxy from
// the environment.
func newProber(guard *refrain.Guard) prober {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	client := &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: probeDialLimit}).DialContext,
			TLSHandshakeTimeout:    probeDialLimit,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxProbeHead,
			Protocols:              protocols,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return prober{guard: guard, client: client, slots: make(chan struct{}, maxProbes)}
}

// about returns what asks about an operation on behalf of a retry.
func (p *prober) about(q *inquiry, retry *http.Request, op refrain.Operation) refrain.ProbeFunc {
	if op.Key == "" {
		op.Key, op.KeyBytes = string(op.KeyBytes), nil // it may be asked later
	}
	return func(ctx context.Context, r refrain.Record) (refrain.Finding, error) {
		select {
		case p.slots <- struct{}{}:
			defer func() { <-p.slots }()
		default:
			return refrain.Finding{}, fmt.Errorf("too many probes at one time: %w", refrain.ErrNotAsked)
		}
		attempt := p.guard.ID(op).String() + "-" + strconv.FormatUint(r.Fence, 10)
		request, err := q.request(ctx, &inquiryValues{inquiry: q, retry: retry, key: printedKey(op.Key), attempt: attempt})
		if err != nil {
			return refrain.Finding{}, err
		}
		return p.ask(q, request)
	}
}

func (p *prober) ask(q *inquiry, r *http.Request) (f refrain.Finding, err error) {
	resp, err := p.client.Do(r)
	if err != nil {
		return f, unsaid(err)
	}
	defer resp.Body.Close()
	body, err := q.read(resp)
	if err != nil {
		return f, err
	}
	var work workspace
	happened := q.happened.met(resp.StatusCode, body, &work)
	switch didNot := q.didNotHappen.met(resp.StatusCode, body, &work); {
	case happened == didNot:
		return f, nil
	case didNot:
		return refrain.Finding{Answer: refrain.DidNotHappen}, nil
	}
	o := refrain.Outcome{Status: resp.StatusCode, Omitted: true}
	if q.replay {
		if o, err = NewOutcome(resp.StatusCode, resp.Header, body); err != nil {
			return f, err
		}
	}
	return refrain.Finding{Answer: refrain.Happened, Outcome: o}, nil
}

// read returns the body of an answer, if it is whole.
func (q *inquiry) read(resp *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, q.limit+1))
	switch {
	case err != nil:
		return nil, unsaid(err)
	case int64(len(body)) > q.limit:
		return nil, fmt.Errorf("the probe's answer is longer than %d bytes", q.limit)
	case q.method != http.MethodHead && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && !isWhole(body):
		return nil, errors.New("the probe's answer may be cut short: it ended with its connection")
	}
	return body, nil
}

// isWhole reports whether a body is one that no cut leaves behind: a JSON document other than a number.
func isWhole(body []byte) bool {
	return json.Valid(body) && strings.IndexByte(`{["`, strings.TrimSpace(string(body))[0]) >= 0
}

// unsaid returns an error that may be logged: that of a client repeats the URL, which holds a key, and can quote the answer.
func unsaid(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var network *net.OpError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("the probe was not answered in time")
	case errors.As(err, &network), errors.As(err, &untrusted), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the probe was not answered: %w", err)
	}
	return errors.New("the probe's answer is not valid HTTP/1.1, or not whole")
}

// request returns the request that asks.
func (q *inquiry) request(ctx context.Context, v *inquiryValues) (*http.Request, error) {
	target, err := q.url.expand(v)
	if err != nil {
		return nil, fmt.Errorf("probe.url: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, target, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("probe.url: %w", errUnfit) // the error of NewRequest repeats it
	}
	r.Header["Accept-Encoding"] = []string{"identity"}
	for _, m := range q.header {
		value := m.template.expand(v, strings.Clone, len(m.template) > 0)
		if value == "" && len(m.template) > 0 || strings.ContainsFunc(value, isControl) {
			return nil, fmt.Errorf("probe.headers: %s: %w", m.name, errUnfit)
		}
		if m.name == "Host" {
			r.Host = value
		} else {
			r.Header[m.name] = append(r.Header[m.name], value)
		}
	}
	return r, nil
}

// inquiryValues are the values of an inquiry's variables.
type inquiryValues struct {
	*inquiry
	retry        *http.Request
	key, attempt string
}

// value implements variables.
func (v *inquiryValues) value(variable string, _ *pointer) string {
	place, name, _ := strings.Cut(variable, ":")
	switch place {
	case varKey:
		return v.key
	case varAttempt:
		return v.attempt
	case "header":
		line, _ := oneLineOf(v.retry.Header, http.CanonicalHeaderKey(name))
		return line
	}
	return v.param(name)
}

// param returns what the retry's path has for a wildcard.
func (v *inquiryValues) param(name string) string {
	r := v.retry
	if clean := cleaned(r); clean != nil {
		r = clean
	}
	return v.params[name].value(strings.TrimPrefix(r.URL.EscapedPath(), "/"))
}
