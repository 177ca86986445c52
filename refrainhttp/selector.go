package refrainhttp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A selector says which parts of a JSON document count. It is one node of a tree of JSON pointers (RFC 6901); a nil
// selector selects as its parent does.
type selector struct {
	children map[string]*selector // by member name or index, in canonical form
	// included and excluded end a pointer here.
	included, excluded bool
}

// newSelector returns the tree of the pointers, or nil when there are none.
func newSelector(include, exclude []string) (*selector, error) {
	if len(include) == 0 && len(exclude) == 0 {
		return nil, nil
	}
	root := &selector{included: len(include) == 0}
	for _, p := range include {
		s, err := root.grow(p)
		if err != nil {
			return nil, fmt.Errorf("include: %w", err)
		}
		s.included = true
	}
	for _, p := range exclude {
		s, err := root.grow(p)
		if err != nil {
			return nil, fmt.Errorf("exclude: %w", err)
		}
		if s == root {
			return nil, errors.New(`exclude: "" is the whole body; use body: none`)
		}
		s.excluded = true
	}
	return root, nil
}

// grow returns the node that a pointer names.
func (s *selector) grow(pointer string) (*selector, error) {
	if pointer == "" {
		return s, nil
	}
	if pointer[0] != '/' {
		return nil, fmt.Errorf("%q is not a JSON pointer: it must start with a slash (RFC 6901)", pointer)
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(token), "~") {
			return nil, fmt.Errorf("%q is not a JSON pointer: a ~ must be written ~0 (RFC 6901)", pointer)
		}
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		name := string(appendQuoted(nil, []byte(token)))
		if s.children == nil {
			s.children = make(map[string]*selector)
		}
		if s.children[name] == nil {
			s.children[name] = &selector{}
		}
		s = s.children[name]
	}
	return s, nil
}

// selects reports whether a field of a form counts: its name is the pointer's only part.
func (s *selector) selects(name string) bool {
	if s == nil {
		return true
	}
	_, counts := selection{node: s, all: s.included}.member(appendQuoted(nil, []byte(name)))
	return counts
}

// A selection is what a selector says about one value: the node for what is inside it, and whether all of it counts
// unless that node says otherwise.
type selection struct {
	node *selector
	all  bool
}

// member returns the selection for the member with the canonical name, and whether any of it counts.
func (s selection) member(name []byte) (selection, bool) {
	if s.node == nil {
		return s, s.all
	}
	child := s.node.children[string(name)]
	if child == nil {
		return selection{all: s.all}, s.all
	}
	inner := selection{node: child, all: s.all || child.included}
	return inner, !child.excluded && (inner.all || child.leads())
}

// element is member for an array's element.
func (s selection) element(i int) (selection, bool) {
	if s.node == nil {
		return s, s.all
	}
	var room [24]byte
	return s.member(append(strconv.AppendInt(append(room[:0], '"'), int64(i), 10), '"'))
}

// leads reports whether something below the node is included.
func (s *selector) leads() bool {
	for _, child := range s.children {
		if child.included || child.leads() {
			return true
		}
	}
	return false
}
