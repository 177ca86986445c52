package config

import (
	"fmt"
	"slices"
	"strings"
)

// unknownField says that name is no field under prefix, and which one was probably meant.
func unknownField(fields []field, prefix, name string) string {
	var here []string
	for _, f := range fields {
		rest, ok := strings.CutPrefix(f.name, prefix)
		if !ok {
			if strings.HasSuffix("."+f.name, "."+name) {
				return fmt.Sprintf("unknown field; did you mean %s?", f.name)
			}
			continue
		}
		first, _, _ := strings.Cut(rest, ".")
		if !slices.Contains(here, first) {
			here = append(here, first)
		}
		if strings.HasSuffix("."+rest, "."+name) {
			return fmt.Sprintf("unknown field; did you mean %s?", f.name)
		}
	}
	if near := nearest(name, here); near != "" {
		return fmt.Sprintf("unknown field; did you mean %s?", near)
	}
	return "unknown field; known here: " + strings.Join(here, ", ")
}

// nearest returns the candidate that a typing error may have turned into name, or "".
func nearest(name string, candidates []string) string {
	best, bound := "", min(1+len(name)/3, len(name)/2)
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c), bound); d <= bound {
			best, bound = c, d-1
		}
	}
	return best
}

// distance returns the edit distance of two words, or more than bound as soon as it must exceed it.
func distance(a, b string, bound int) int {
	if len(a)-len(b) > bound || len(b)-len(a) > bound {
		return bound + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
