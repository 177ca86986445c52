package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Problem is one thing that is wrong with a configuration.
type Problem struct {
	Origin Origin
	// Path is the field's full name, such as "routes[0].key.format"; empty for the file as a whole.
	Path string
	// Text says what is wrong and what would be right.
	Text string
}

func (p Problem) String() string {
	if p.Path == "" {
		return fmt.Sprintf("%s: %s", p.Origin, p.Text)
	}
	return fmt.Sprintf("%s: %s: %s", p.Origin, p.Path, p.Text)
}

// Problems is the error of a configuration that cannot be used: everything that is wrong with it, in the file's order.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the problems in the order of the file, without repetitions.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Origin.Line, b.Origin.Line), cmp.Compare(a.Origin.Column, b.Origin.Column))
	})
	return slices.Compact(ps)
}

// An Origin is where a setting came from. The zero Origin is that of a built-in default.
type Origin struct {
	// Source is the file's name, or what an Override says.
	Source string
	// Line and Column are the place in the file, from 1.
	Line, Column int

	outside bool
	dialect bool // a field that a dialect brought
}

// Outside reports whether the setting is from outside the file: a flag or an environment variable.
func (o Origin) Outside() bool { return o.outside }

func (o Origin) String() string {
	switch {
	case o.Source == "":
		return "default"
	case o.Line == 0:
		return o.Source
	}
	return fmt.Sprintf("%s:%d:%d", o.Source, o.Line, o.Column)
}
