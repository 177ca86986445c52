// Package reference writes what an API's clients must know about its idempotency: as Markdown for people, and as an overlay of
// its OpenAPI description.
package reference

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// Markdown writes a page with a section for each contract. Neighbours that differ in nothing but their pattern share one.
func Markdown(out io.Writer, contracts []refrainhttp.Contract) error {
	var b strings.Builder
	b.WriteString("# Idempotency\n\n")
	b.WriteString("Sending one of these requests again does not carry it out again: a retry gets the first answer.\n")
	for i := 0; i < len(contracts); {
		text, n := section(&contracts[i]), i+1
		for n < len(contracts) && section(&contracts[n]) == text {
			n++
		}
		b.WriteString("\n##")
		for _, c := range contracts[i:n] {
			b.WriteString(" `" + c.Match + "`")
		}
		b.WriteString("\n\n" + text)
		i = n
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func section(c *refrainhttp.Contract) string {
	b := &strings.Builder{}
	if c.Mode == refrainhttp.Observe {
		b.WriteString("Not in force yet: requests are only watched.\n\n")
	}
	if c.Mode == refrainhttp.Refuse {
		b.WriteString("These requests take no key, and one that has a key is refused with 501. Nothing protects a retry.\n")
		return b.String()
	}
	fmt.Fprintf(b, "%s\n\n", key(c))
	for _, line := range []string{
		"Unique within: " + scope(c) + ".",
		compared(c),
		fmt.Sprintf("Kept and given again: %s, for %s. %s", list(c.Answers.Kept), span(c.Lifetime), after(c)),
		echo(c), failures(c),
		released(c), unknown(c), rules(c), waiting(c),
	} {
		if line != "" {
			fmt.Fprintf(b, "- %s\n", line)
		}
	}
	b.WriteString("\n| status | code | what to send next |\n|---|---|---|\n")
	rows := make([]string, 0, len(c.Problems))
	for _, p := range c.Problems {
		row := fmt.Sprintf("| %d | `%s` | %s |\n", p.Status, p.Code, next(p.Advice))
		if !slices.Contains(rows, row) { // a dialect may word two problems alike
			rows = append(rows, row)
		}
	}
	b.WriteString(strings.Join(rows, ""))
	return b.String()
}

func key(c *refrainhttp.Contract) string {
	must := "may"
	if c.Key.Required {
		must = "must"
	}
	form := fmt.Sprintf("%d to %d characters", c.Key.MinLength, c.Key.MaxLength)
	switch c.Key.Format {
	case refrainhttp.UUID:
		form = "a UUID"
	case refrainhttp.UUID7:
		form = "a UUID of version 7"
	case refrainhttp.SFString:
		form += ", as a quoted string (RFC 9651)"
	}
	text := fmt.Sprintf("A request %s carry a key, new for each operation and the same for each retry of it, in %s: %s.",
		must, Places(c.Key.From), form)
	if c.Key.FirstSent != "" {
		text += fmt.Sprintf(" With it comes `%s`, the time of the first attempt as an HTTP date", c.Key.FirstSent)
		if c.Key.FirstSentWithin > 0 {
			text += ", at most " + span(c.Key.FirstSentWithin) + " ago"
		}
		text += "."
	}
	if c.Key.SequenceWindow > 0 {
		text = fmt.Sprintf("A request %s carry a number in the header `%s`, each greater than the last, without a sign or leading "+
			"zeros. It is the key: the same for each retry. Gaps are allowed; a number of %d or more below the greatest one may "+
			"be refused.",
			must, strings.TrimPrefix(c.Key.From[0], "sequence:"), c.Key.SequenceWindow)
	}
	if b := c.Batch; b != nil {
		text = fmt.Sprintf("A request is a batch of up to %d operations: the elements of %s in its body. Each %s carry a key at "+
			"`%s`, %s. Those that are done are answered from their records, only the others are carried out, and the answers are "+
			"the elements of %s in the answer, in the same order; an operation that cannot be answered has a problem document there.",
			b.Limit, element(b.Items), must, b.Key, form, element(b.Answers))
	}
	if c.Key.DeriveWindow > 0 {
		text += fmt.Sprintf(" Equal requests of one caller without a key are carried out once while the first of them runs and for %s "+
			"after its answer. Two that are meant to be two need a key each.", span(c.Key.DeriveWindow))
	}
	return text
}

// element names an array.
func element(pointer string) string {
	if pointer == "" {
		return "the array"
	}
	return "the array at `" + pointer + "`"
}

// Places names where a key may be.
func Places(from []string) string {
	names := make([]string, len(from))
	for i, f := range from {
		scheme, name, _ := strings.Cut(f, ":")
		names[i] = map[string]string{
			"sequence": "the header `" + name + "`",
			"header":   "the header `" + name + "`", "query": "the query parameter `" + name + "`",
			"form": "the form field `" + name + "`",
			"body": "the body at `" + name + "`", "tuple": "`" + strings.ReplaceAll(name, ",", "` and `") + "` together",
		}[scheme]
		if names[i] == "" {
			names[i] = "`" + f + "`"
		}
	}
	return strings.Join(names, " or ")
}

func scope(c *refrainhttp.Contract) string {
	who := "the caller's credential"
	if len(c.Scope.Principal) == 1 && c.Scope.Principal[0] == "none" {
		who = "all callers together"
	}
	if len(c.Scope.Headers) > 0 {
		who += ", " + list(c.Scope.Headers)
	}
	if len(c.Scope.Body) > 0 {
		who += ", " + list(c.Scope.Body) + " of the body"
	}
	switch c.Scope.Route {
	case refrainhttp.RoutePath:
		return who + ", method and path"
	case refrainhttp.RouteNone:
		return who
	}
	if names, ok := strings.CutPrefix(string(c.Scope.Route), "path:"); ok {
		return who + " and these requests, for each `{" + strings.ReplaceAll(names, ",", "}` and `{") + "}`"
	}
	return who + " and these requests"
}

func compared(c *refrainhttp.Contract) string {
	parts := append([]string{}, c.Compared.Of...)
	switch c.Compared.Body {
	case refrainhttp.BodyRaw:
		parts = append(parts, "body, byte by byte")
	case refrainhttp.BodyAuto, refrainhttp.BodyJSON:
		body := "body (as JSON, whatever its spelling)"
		if len(c.Compared.Include) > 0 {
			body += " at " + list(c.Compared.Include)
		}
		if len(c.Compared.Exclude) > 0 {
			body += " without " + list(c.Compared.Exclude)
		}
		parts = append(parts, body)
	}
	for _, h := range c.Compared.Headers {
		parts = append(parts, "header `"+h+"`")
	}
	if len(parts) == 0 {
		return "The key alone decides; nothing else is compared."
	}
	return "Two uses of a key must have the same " + strings.Join(parts, ", ") + "."
}

func next(advice string) string {
	switch advice {
	case "same-key":
		return "the same request with the same key, later"
	case "new-key":
		return "a request that was put right, with a new key"
	}
	return "nothing"
}

func list(all []string) string {
	if len(all) == 0 {
		return "no answers"
	}
	return strings.Join(all, ", ")
}

// span writes seconds as people do.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if days := d / (24 * time.Hour); days > 1 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", days)
	}
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}
