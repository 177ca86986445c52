package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// writeRequest writes what the policy makes of the request. It shows no value of a header: keys and credentials stay out of
// terminals' histories.
func writeRequest(out io.Writer, e *refrainhttp.Explanation, r *http.Request, resp *http.Response) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	p := &e.Policy
	fmt.Fprintf(w, "  key\t%s\n", describeKey(p, r.Header))
	fmt.Fprintf(w, "  unique within\t%s, %s\n", describePrincipal(p, r.Header), describeRoute(e, r))
	fmt.Fprintf(w, "  compared by\t%s\n", describeFingerprint(&p.Fingerprint))
	fmt.Fprintf(w, "  status final\t%s: every retry gets this answer\n", strings.Join(p.Outcomes.Final, " "))
	fmt.Fprintf(w, "  status release\t%s: nothing happened, the next request runs\n", describeRelease(&p.Outcomes))
	fmt.Fprintf(w, "  status unknown\t%s, or no whole answer: no retry runs, and each is told so\n",
		strings.Join(p.Outcomes.Unknown, " "))
	fmt.Fprintf(w, "  as given\t%s\n", describeAnswer(resp))
	return w.Flush()
}

func describeKey(p *refrainhttp.Policy, h http.Header) string {
	for _, name := range p.Key.Headers {
		if h[name] != nil {
			return "from " + name
		}
	}
	return "not given; it would be read from " + strings.Join(p.Key.Headers, ", then ")
}

func describePrincipal(p *refrainhttp.Policy, h http.Header) string {
	var names []string
	for _, source := range p.Principal {
		name, isHeader := strings.CutPrefix(string(source), "header:")
		if !isHeader {
			return "all callers alike"
		}
		name = http.CanonicalHeaderKey(name)
		if h[name] != nil {
			return "the principal in " + name
		}
		names = append(names, name)
	}
	return "callers without " + strings.Join(names, " and ")
}

func describeRoute(e *refrainhttp.Explanation, r *http.Request) string {
	switch e.Policy.RouteScope {
	case refrainhttp.RoutePath:
		return r.Method + " " + r.URL.EscapedPath()
	case refrainhttp.RouteNone:
		return "all routes alike"
	}
	return "route " + e.Pattern
}

func describeFingerprint(f *refrainhttp.Fingerprint) string {
	parts := []string{"method", "path", "query", "media type"}
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
	for _, list := range [][]string{o.Final, o.Release, o.Unknown} {
		for _, s := range list {
			if s == "503" {
				return all
			}
		}
	}
	return strings.TrimSpace(all + " 503-with-Retry-After")
}

// describeAnswer says what the middleware answered by itself, or that it let the request through.
func describeAnswer(resp *http.Response) string {
	if resp.StatusCode == http.StatusOK {
		if resp.Header.Get("Idempotency-Status") == "" {
			return "forwarded, unprotected"
		}
		return "forwarded the first time, replayed afterwards"
	}
	var problem struct{ Code, Detail string }
	if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil {
		return fmt.Sprintf("refused with %d", resp.StatusCode)
	}
	return fmt.Sprintf("refused with %d %s: %s", resp.StatusCode, problem.Code, problem.Detail)
}
