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
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A preview is what the policy makes of a request. It shows no value of a header: keys and credentials stay out of
// terminals' histories.
type preview struct {
	*refrainhttp.Explanation
	outcome *refrainhttp.Outcomes
	request *http.Request
	answer  *httptest.ResponseRecorder
}

func (p *preview) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	retries := "no retry runs, and each is told so"
	if p.Policy.Operation.Unknown == refrain.Rerun {
		retries = "the next request runs again"
	}
	fmt.Fprintf(w, "  key\t%s\n", p.key())
	fmt.Fprintf(w, "  unique within\t%s, %s\n", p.principal(), p.route())
	fmt.Fprintf(w, "  compared by\t%s\n", describeFingerprint(&p.Policy.Fingerprint))
	fmt.Fprintf(w, "  status final\t%s: every retry gets this answer\n", strings.Join(p.outcome.Final, " "))
	fmt.Fprintf(w, "  status release\t%s: nothing happened, the next request runs\n", describeRelease(p.outcome))
	fmt.Fprintf(w, "  status unknown\t%s, or no whole answer: %s\n", strings.Join(p.outcome.Unknown, " "), retries)
	fmt.Fprintf(w, "  as given\t%s\n", describeAnswer(p.answer))
	return w.Flush()
}

func (p *preview) key() string {
	if b := &p.Policy.Batch; b.Key != "" {
		return "from each item of the batch, at " + b.Items + " " + b.Key
	}
	var places []string
	for _, from := range p.Policy.Key.From {
		name, isHeader := strings.CutPrefix(strings.Replace(from, "sequence:", "header:", 1), "header:")
		if isHeader && p.request.Header[http.CanonicalHeaderKey(name)] != nil {
			return "from " + name
		}
		if !isHeader {
			name = from
		}
		places = append(places, name)
	}
	if p.answer.Header().Get("Idempotency-Key-Source") != "" {
		return "derived from the request, which has none in " + strings.Join(places, ", then ")
	}
	return "not given; it would be read from " + strings.Join(places, ", then ")
}

func (p *preview) principal() string {
	var names []string
	for _, source := range p.Policy.Principal {
		name, isHeader := strings.CutPrefix(string(source), "header:")
		if !isHeader {
			return "all callers alike"
		}
		name = http.CanonicalHeaderKey(name)
		if p.request.Header[name] != nil {
			return "the principal in " + name
		}
		names = append(names, name)
	}
	return "callers without " + strings.Join(names, " and ")
}

func (p *preview) route() string {
	switch p.Policy.RouteScope {
	case refrainhttp.RoutePath:
		return p.request.Method + " " + p.request.URL.EscapedPath()
	case refrainhttp.RouteNone:
		return "all routes alike"
	}
	return "route " + p.Pattern
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

// describeAnswer says what the middleware answered by itself, or that it let the request through.
func describeAnswer(resp *httptest.ResponseRecorder) string {
	if resp.Code == http.StatusOK {
		if resp.Header().Get("Idempotency-Status") == "" {
			return "forwarded, unprotected"
		}
		return "forwarded the first time, replayed afterwards"
	}
	var problem struct{ Code, Detail string }
	if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil {
		return fmt.Sprintf("refused with %d", resp.Code)
	}
	return fmt.Sprintf("refused with %d %s: %s", resp.Code, problem.Code, problem.Detail)
}
