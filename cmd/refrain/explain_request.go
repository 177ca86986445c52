package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A preview is what the policy makes of a request. It shows no value of a header: keys and credentials stay out of
// terminals' histories.
type preview struct {
	*refrainhttp.Explanation
	policy    *config.Policy
	request   *http.Request
	keySource string
	answer    *httptest.ResponseRecorder
	forwarded bool
}

func (p *preview) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  key\t%s\n", p.key())
	fmt.Fprintf(w, "  unique within\t%s, %s\n", p.principal(), strings.Join(append([]string{p.route()}, p.bound()...), ", "))
	fmt.Fprintf(w, "  compared by\t%s\n", describeFingerprint(&p.Policy.Fingerprint))
	fmt.Fprintf(w, "  status final\t%s: every retry gets this answer\n", strings.Join(p.Policy.Outcomes.Final, " "))
	fmt.Fprintf(w, "  status release\t%s: nothing happened, the next request runs\n", describeRelease(&p.Policy.Outcomes))
	fmt.Fprintf(w, "  status unknown\t%s: %s\n", describeUnknown(&p.Policy.Outcomes), p.retries())
	fmt.Fprintf(w, "  as given\t%s\n", p.describeAnswer())
	return w.Flush()
}

// retries says what becomes of the retries of an unknown operation.
func (p *preview) retries() string {
	op := p.Policy.Operation.WithDefaults()
	switch op.Unknown {
	case refrain.Rerun:
		return "the next request runs again"
	case refrain.Probe:
		q := &p.Policy.Probe
		target := q.URL
		if strings.HasPrefix(target, "/") {
			target = strings.TrimSuffix(q.Base, "/") + target
		}
		return fmt.Sprintf("a retry asks %s %s whether it happened, %s after the start at the earliest", q.Method, target, op.Quiet)
	}
	return "no retry runs, and each is told so"
}

func (p *preview) key() string {
	if b := &p.Policy.Batch; b.Key != "" {
		return "from each item of the batch, at " + b.Items + " " + b.Key
	}
	var places []string
	for _, from := range p.Policy.Key.From {
		name, isHeader := strings.CutPrefix(strings.Replace(from, "sequence:", "header:", 1), "header:")
		if !isHeader {
			name = from
		}
		if from == p.keySource {
			return "from " + name
		}
		places = append(places, name)
	}
	if p.answer.Header().Get("Idempotency-Key-Source") != "" {
		return "derived from the request, which has none in " + strings.Join(places, ", then ")
	}
	return "not given; it would be read from " + strings.Join(places, ", then ")
}

// principal says who the request would come from, and which line makes that so.
func (p *preview) principal() string {
	return p.caller() + " (" + p.policy.OriginOf("scope.principal").String() + ")"
}

func (p *preview) caller() string {
	if p.Policy.Principal[0] == "none" {
		return "all callers alike"
	}
	who := describeSource(p.Principal)
	if p.Principal == "" {
		who = "callers without " + p.missing()
	}
	if at := slices.Index(p.Policy.Principal, "mtls"); at >= 0 && !slices.Contains(p.Policy.Principal[:at], p.Principal) {
		who = "the client certificate's principal, or if it comes without one " + who
	}
	return who
}

// missing names the sources that the request does not have.
func (p *preview) missing() string {
	var names []string
	for _, s := range p.Policy.Principal {
		if _, name, found := strings.Cut(string(s), ":"); found && !strings.HasPrefix(string(s), "header:") {
			names = append(names, string(s))
		} else if found {
			names = append(names, http.CanonicalHeaderKey(name))
		}
	}
	return strings.Join(names, " and ")
}

func describeSource(s refrainhttp.Source) string {
	scheme, name, _ := strings.Cut(string(s), ":")
	switch scheme {
	case "header":
		return "the principal in " + http.CanonicalHeaderKey(name)
	case "cookie":
		return "the principal in cookie " + name
	case "jwt":
		return "the claim " + name + " of its token, which must verify"
	case "trusted":
		return "the principal in " + name + ", if it comes from a trusted proxy"
	}
	return "the client's address"
}

func (p *preview) route() string {
	switch p.Policy.RouteScope {
	case refrainhttp.RoutePath:
		return p.request.Method + " " + p.request.URL.EscapedPath()
	case refrainhttp.RouteNone:
		return "all routes alike"
	}
	if names, ok := strings.CutPrefix(string(p.Policy.RouteScope), "path:"); ok {
		return fmt.Sprintf("route %s, for each {%s}", p.Pattern, strings.ReplaceAll(names, ",", "} and {"))
	}
	return "route " + p.Pattern
}

// bound says which headers and members of the body the key is bound to.
func (p *preview) bound() (all []string) {
	for _, name := range p.Policy.ScopeHeaders {
		all = append(all, "header "+name)
	}
	for _, pointer := range p.Policy.ScopeBody {
		all = append(all, "body "+pointer)
	}
	return all
}

func describeFingerprint(f *refrainhttp.Fingerprint) string {
	parts := slices.Clone(f.Of)
	body := map[refrainhttp.BodyMode]string{
		refrainhttp.BodyAuto: "body (as JSON or a form by its media type, else its bytes)",
		refrainhttp.BodyJSON: "body (as JSON, else its bytes)",
		refrainhttp.BodyRaw:  "body (its bytes)",
	}[f.Body]
	if body != "" {
		if len(f.Include) > 0 {
			body += " at " + strings.Join(f.Include, " ")
		}
		if len(f.Exclude) > 0 {
			body += " without " + strings.Join(f.Exclude, " ")
		}
		parts = append(parts, body)
	}
	for _, name := range f.Headers {
		parts = append(parts, "header "+name)
	}
	return strings.Join(parts, ", ")
}

// describeRelease adds the one case that no list says.
func describeRelease(o *refrainhttp.Outcomes) string {
	all := strings.Join(o.Release, " ")
	if slices.Contains(slices.Concat(o.Final, o.Release, o.Unknown), "503") {
		return all
	}
	return strings.TrimSpace(all + " 503-with-Retry-After")
}

// describeUnknown adds what has no status.
func describeUnknown(o *refrainhttp.Outcomes) string {
	const none = "no whole answer"
	if len(o.Unknown) == 0 {
		return none
	}
	return strings.Join(o.Unknown, " ") + ", or " + none
}

// describeAnswer says what the middleware answered by itself, or that it let the request through.
func (p *preview) describeAnswer() string {
	resp := p.answer
	if p.forwarded {
		if resp.Header().Get("Idempotency-Status") == "" {
			return "forwarded, unprotected"
		}
		return "forwarded the first time, replayed afterwards"
	}
	var problem struct{ Code, Detail string }
	if err := json.Unmarshal(resp.Body.Bytes(), &problem); err != nil || problem.Detail == "" { // the words of a dialect
		return fmt.Sprintf("refused with %d: %s", resp.Code, strings.TrimSpace(resp.Body.String()))
	}
	return fmt.Sprintf("refused with %d %s: %s", resp.Code, problem.Code, problem.Detail)
}
