package refrainhttp

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/refrain-dev/refrain"
)

// A refusal is one problem: its kind, and what is particular about it.
type refusal struct {
	kind       problemKind
	detail     string           // if empty, that of the kind
	retryAfter int              // seconds; if zero, none
	recorded   *refrain.Outcome // the recorded answer that is not given, if there is one
	challenge  string           // WWW-Authenticate, if not empty
}

// unproven is the refusal of a request that a source of principals gives an error for.
func unproven(by *principalSource, err error) refusal {
	f := refusal{kind: problemCallerUnclear, detail: sentence(err), challenge: by.Challenge}
	if f.challenge != "" {
		f.kind = problemCallerUnproven
	}
	return f
}

// refusal returns one that says no more than the kind.
func (k problemKind) refusal() refusal {
	f := refusal{kind: k}
	if k == problemUnavailable {
		f.retryAfter = unavailableRetry
	}
	return f
}

// problemVariables are those of a refusal beside a mark's.
func problemVariables() []string {
	return []string{"code", "title", "detail", "type", "http_status", "retryable", "retry_after", "original_status", varResource}
}

// A telling is a refusal on its way to the client. It has the values of the variables.
type telling struct {
	refusal
	*words
	key     clientKey
	status  Status
	request []byte     // the body, as far as it was read
	work    *workspace // or nil
}

// value implements variables.
func (t *telling) value(name string, p *pointer) string {
	switch name {
	case varKey:
		return t.key.written()
	case varKeySource:
		return t.key.source()
	case varStatus:
		return t.status.told()
	case varAdvice:
		return t.kind.advice()
	case varOutcome:
		return t.recordedAt(p)
	case varRequest:
		return string(valueAt(p.names, t.request))
	case "code":
		return t.code
	case "title":
		return t.title
	case "detail":
		return t.about()
	case "type":
		return ProblemBase + t.kind.describe().code
	case "http_status":
		return strconv.Itoa(t.words.status)
	case "retryable":
		return strconv.FormatBool(t.retryable)
	case "retry_after":
		return positive(t.retryAfter)
	case varResource:
		return resourceID(t.recorded, p, t.work)
	case "original_status":
		if t.recorded != nil {
			return positive(t.recorded.Status)
		}
	}
	return ""
}

func (t *telling) about() string {
	if t.refusal.detail != "" {
		return t.refusal.detail
	}
	return t.words.detail
}

// recordedAt returns what the recorded answer has at the pointer.
func (t *telling) recordedAt(p *pointer) string {
	if t.recorded == nil || t.work == nil {
		return ""
	}
	b, ok := p.find(t.recorded.Body, t.work)
	if !ok {
		return ""
	}
	if text, ok := scalarText(b); ok {
		return text
	}
	return string(b)
}

func positive(n int) string {
	if n <= 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// refuse answers with a problem.
func (x *exchange) refuse(status Status, f refusal) {
	t := x.telling(status, f)
	setMarks(x.client.Header(), x.plan.speech.marks, t)
	t.write(x.client)
	x.report(status, t.words.status, f.kind)
}

func (x *exchange) telling(status Status, f refusal) *telling {
	var t *telling
	if x.work != nil {
		t = &x.work.telling
	} else {
		t = new(telling)
	}
	*t = telling{refusal: f, words: &x.plan.speech.words[f.kind], key: x.key, status: status, work: x.work}
	if x.body != nil {
		t.request = x.body.b
	}
	return t
}

// write answers with the words.
func (t *telling) write(w http.ResponseWriter) {
	h := w.Header()
	if t.challenge != "" {
		h["Www-Authenticate"] = []string{t.challenge}
	}
	if t.retryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(t.retryAfter)}
	}
	body := t.text()
	setMarks(h, t.header, t)
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(t.words.status)
	_, _ = w.Write(body)
}

// text returns the body, valid until work is used again.
func (t *telling) text() []byte {
	body := t.body
	switch {
	case body == nil:
		return t.document()
	case t.refusal.detail != "":
		body = t.detailed
	}
	if t.work == nil {
		return body.append(nil, t, t.escape, false)
	}
	t.work.text = body.append(t.work.text[:0], t, t.escape, false)
	return t.work.text
}

// document returns the problem document (RFC 9457).
func (t *telling) document() []byte {
	b := fmt.Appendf(nil, `{"type":"%s%s","title":%q,"status":%d,"detail":%s,"code":%q,"retryable":%t,"advice":%q`,
		ProblemBase, t.kind.describe().code, t.title, t.words.status, appendQuoted(nil, []byte(t.about())), t.code, t.retryable,
		t.kind.advice())
	if t.retryAfter > 0 {
		b = fmt.Appendf(b, `,"retry_after":%d`, t.retryAfter)
	}
	if t.recorded != nil && t.recorded.Status != 0 && t.kind != problemMismatch {
		b = fmt.Appendf(b, `,"original_status":%d`, t.recorded.Status)
	}
	return append(b, "}\n"...)
}
