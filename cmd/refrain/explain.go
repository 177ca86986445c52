package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/refrainhttp"
)

func newExplain(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain METHOD PATH",
		Short: "Show the policy that a request would get, and why",
		Long: `Explain finds the route that a request would take, shows each setting that holds for
it and where that came from, and says what the request would be: where its key is read,
what the key is unique within, what two uses of it must have in common, and what the
status of the answer means. With -H and --body it also says what these would lead to.`,
		Example: `  refrain explain --config refrain.yaml POST /charges
  refrain explain --config refrain.yaml POST /charges -H 'Idempotency-Key: k1' -H 'Authorization: Bearer x'
  refrain explain --config refrain.yaml POST /payments -H 'Content-Type: application/json' --body @payment.json`,
		Args: exactly("METHOD", "PATH"),
	}
	s := newSettings(env, cmd)
	headers := cmd.Flags().StringArrayP("header", "H", nil, "a header of the request, as 'Name: value'")
	body := cmd.Flags().String("body", "", "its body, or @FILE")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := newRequest(args[0], args[1], *headers)
		if err != nil {
			return misuse{err}
		}
		text, err := content(*body)
		if err != nil {
			return misuse{err}
		}
		cfg, err := s.describe()
		if err != nil {
			return err
		}
		return explain(cmd.OutOrStdout(), cfg, r, text)
	}
	return cmd
}

// newRequest returns the request that the arguments describe.
func newRequest(method, target string, headers []string) (*http.Request, error) {
	if !strings.HasPrefix(target, "/") {
		return nil, fmt.Errorf("path %q must begin with a slash", target)
	}
	r, err := http.NewRequest(strings.ToUpper(method), "http://localhost"+target, nil)
	if err != nil {
		return nil, fmt.Errorf("%s %s is not a request: %w", method, target, err)
	}
	for _, h := range headers {
		name, value, found := strings.Cut(h, ":")
		if !found || strings.TrimSpace(name) == "" {
			return nil, fmt.Errorf("header %q is not of the form 'Name: value'", h)
		}
		name, value = http.CanonicalHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	return r, nil
}

// explain writes what would become of the request with that body.
func explain(out io.Writer, cfg *config.Config, r *http.Request, body []byte) error {
	m, err := offline(cfg)
	if err != nil {
		return err
	}
	e := m.Explain(r)
	fmt.Fprintf(out, "%s %s\n%s\n", r.Method, r.URL.RequestURI(), e.Why)
	if e.Pattern == "" {
		return nil
	}
	route, pattern := find(cfg, e.Pattern)
	fmt.Fprintf(out, "\nroute %s (%s)\n", pattern.Text, pattern.Origin)
	if err := writeSettings(out, route.Policy.Settings()); err != nil || !e.Protected {
		return err
	}
	fmt.Fprintln(out, "\nthis request")
	p := preview{Explanation: &e, policy: &route.Policy, request: r, keySource: m.KeySource(r, body)}
	if len(body) > 0 {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	p.answer, p.forwarded = answer(m, r)
	return p.write(out)
}

// find returns the route with the pattern. The patterns of a configuration are all different.
func find(cfg *config.Config, pattern string) (*config.Route, config.Pattern) {
	for i := range cfg.Routes {
		r := &cfg.Routes[i]
		j := slices.IndexFunc(r.Match, func(p config.Pattern) bool { return p.Text == pattern })
		if j >= 0 {
			return r, r.Match[j]
		}
	}
	return &config.Route{Policy: cfg.Defaults}, config.Pattern{Text: pattern}
}

func writeSettings(out io.Writer, all []config.Setting) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range all {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", s.Name, s.Value, s.Origin)
	}
	return w.Flush()
}

// answer returns what the middleware itself says to the request, with an upstream that answers 200 in an empty store, and whether
// that was asked.
func answer(m *refrainhttp.Middleware, r *http.Request) (w *httptest.ResponseRecorder, forwarded bool) {
	w = httptest.NewRecorder()
	m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { forwarded = true })).ServeHTTP(w, r)
	return w, forwarded
}
