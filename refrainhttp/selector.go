package refrainhttp

import (
	"errors"
	"fmt"
	"strconv"
)

// A selector says which parts of a JSON document count. It is one node of a tree of JSON pointers (RFC 6901); a nil
// selector selects as its parent does.
type selector struct {
	name     string // of a member or index, in canonical form
	children []*selector
	lengths  uint64 // a bit for each length of their names, modulo 64
	// included and excluded end a pointer here.
	included, excluded bool
	wanted             bool // what is here is to be found, whether it counts or not
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
	tokens, err := pointerTokens(pointer)
	if err != nil {
		return nil, err
	}
	for _, token := range tokens {
		name := appendQuoted(nil, []byte(token))
		child := s.child(name)
		if child == nil {
			child = &selector{name: string(name)}
			s.children = append(s.children, child)
			s.lengths |= lengthOf(name)
		}
		s = child
	}
	return s, nil
}

func lengthOf(name []byte) uint64 { return 1 << (len(name) % 64) }

// mayName reports false if no child has that name: nearly always.
func (s *selector) mayName(name []byte) bool { return s != nil && s.lengths&lengthOf(name) != 0 }

// child returns that of the name, or nil. Most nodes have few.
func (s *selector) child(name []byte) *selector {
	for _, c := range s.children {
		if c.name == string(name) {
			return c
		}
	}
	return nil
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
	var child *selector
	if s.node.mayName(name) {
		child = s.node.child(name)
	}
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
