package refrainhttp

import "slices"

// An expectation is an Expectation compiled.
type expectation struct {
	status [500]bool // from 100
	at     *pointer  // nil: the status says it all
	equals []string
}

// newExpectation returns nil for one that expects nothing.
func newExpectation(e *Expectation, field string) (*expectation, error) {
	if e.isZero() {
		return nil, nil
	}
	x := &expectation{equals: e.Equals}
	list := e.Status
	switch {
	case e.Equals != nil && e.Pointer == "":
		return nil, wrongProbe(field+".equals", "what should equal it? Name it with %s.pointer, such as /status", field)
	case e.Equals != nil && len(e.Equals) == 0:
		return nil, wrongProbe(field+".equals", `is empty, which nothing equals; an empty list is written "[]"`)
	case e.Status != nil && len(e.Status) == 0:
		return nil, wrongProbe(field+".status", "is empty, so no answer would do; write one such as 2xx or 404")
	case e.Pointer != "":
		at, err := newPointer(e.Pointer)
		if err != nil {
			return nil, &ProbeError{field + ".pointer", err}
		}
		x.at = at
		if list == nil {
			list = []string{"2xx"}
		}
	}
	for _, entry := range list {
		from, to, err := statuses(entry)
		if err != nil {
			return nil, &ProbeError{field + ".status", err}
		}
		for s := from; s <= to; s++ {
			x.status[s-100] = true
		}
	}
	return x, nil
}

// met reports whether an answer is what is expected.
func (x *expectation) met(status int, body []byte, work *workspace) bool {
	switch {
	case x == nil, status < 100, status > 599, !x.status[status-100]:
		return false
	case x.at == nil:
		return true
	}
	found, ok := x.at.find(body, work)
	if !ok || x.equals == nil {
		return ok && isThere(found)
	}
	text, isScalar := scalarText(found)
	return isScalar && slices.Contains(x.equals, text) || slices.Contains(x.equals, string(found))
}
