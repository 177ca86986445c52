package reference

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// Overlay writes an overlay (OpenAPI Overlay Specification 1.0.0) that adds the key's parameter and the answers that are not
// the API's own to its description. The error names the patterns that no path of a description can stand for; if that is all of
// them, nothing is written.
func Overlay(out io.Writer, contracts []refrainhttp.Contract) error {
	doc := overlay{Overlay: "1.0.0", Info: info{Title: "Idempotency", Version: "1.0.0"}}
	var left []string
	for i := range contracts {
		c := &contracts[i]
		if target := target(c.Match); target != "" {
			doc.Actions = append(doc.Actions, action{Target: target, Update: describe(c)})
		} else {
			left = append(left, c.Match)
		}
	}
	if len(doc.Actions) == 0 { // an overlay has one at least
		return fmt.Errorf("%w: %s", ErrNoTarget, cmp.Or(strings.Join(left, ", "), "no route is in force"))
	}
	text, err := yaml.MarshalWithOptions(doc, yaml.IndentSequence(true))
	if err != nil {
		return fmt.Errorf("writing the overlay: %w", err)
	}
	if _, err := out.Write(text); err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("%w: %s", ErrNoTarget, strings.Join(left, ", "))
	}
	return nil
}

// ErrNoTarget says that a pattern stands for paths that an overlay cannot name. The overlay has all others.
var ErrNoTarget = errors.New("an overlay cannot name the paths of a pattern that ends with a slash or an ellipsis")

type overlay struct {
	Overlay string   `yaml:"overlay"`
	Info    info     `yaml:"info"`
	Actions []action `yaml:"actions"`
}

type info struct {
	Title   string `yaml:"title"`
	Version string `yaml:"version"`
}

type action struct {
	Target string    `yaml:"target"`
	Update operation `yaml:"update"`
}

type operation struct {
	Parameters []parameter         `yaml:"parameters,omitempty"`
	Responses  map[string]response `yaml:"responses"`
}

type parameter struct {
	Name        string `yaml:"name"`
	In          string `yaml:"in"`
	Required    bool   `yaml:"required"`
	Description string `yaml:"description"`
	Schema      schema `yaml:"schema"`
}

type schema struct {
	Type      string `yaml:"type"`
	Format    string `yaml:"format,omitempty"`
	MinLength int    `yaml:"minLength"`
	MaxLength int    `yaml:"maxLength"`
}

type response struct {
	Description string `yaml:"description"`
}

// target returns the JSONPath of what a pattern stands for, "" if there is none.
func target(pattern string) string {
	method, path, _ := strings.Cut(pattern, " ")
	if at := strings.IndexByte(path, '/'); at > 0 {
		path = path[at:] // a host in front
	}
	path = strings.TrimSuffix(path, "{$}")
	switch {
	case path == "/" && !strings.HasSuffix(pattern, "{$}"):
		return "$.paths[*]." + strings.ToLower(method)
	case strings.HasSuffix(path, "/") && !strings.HasSuffix(pattern, "{$}"), strings.Contains(path, "...}"):
		return ""
	}
	return fmt.Sprintf("$.paths['%s'].%s", path, strings.ToLower(method))
}

func describe(c *refrainhttp.Contract) operation {
	o := operation{Responses: map[string]response{}}
	for _, from := range c.Key.From {
		if c.Batch != nil || c.Mode == refrainhttp.Refuse {
			break // its items say it, or it takes none
		}
		in, name, _ := strings.Cut(from, ":")
		if in == "sequence" {
			in = "header"
		}
		if in != "header" && in != "query" {
			continue // a body's schema says it
		}
		o.Parameters = append(o.Parameters, parameter{
			Name: name, In: in, Required: c.Key.Required && len(c.Key.From) == 1, Description: key(c), Schema: keySchema(&c.Key),
		})
	}
	codes := map[int][]string{}
	for _, p := range c.Problems {
		if !slices.Contains(codes[p.Status], p.Code) {
			codes[p.Status] = append(codes[p.Status], p.Code)
		}
	}
	for status, all := range codes {
		o.Responses[strconv.Itoa(status)] = response{"Idempotency: " + strings.Join(all, ", ")}
	}
	return o
}

func keySchema(k *refrainhttp.KeyContract) schema {
	s := schema{Type: "string", MinLength: k.MinLength, MaxLength: k.MaxLength}
	if k.SequenceWindow > 0 {
		s.MaxLength = len("9223372036854775807")
	}
	if k.Format == refrainhttp.UUID || k.Format == refrainhttp.UUID7 {
		s.Format, s.MinLength, s.MaxLength = "uuid", 36, 36
	}
	return s
}
