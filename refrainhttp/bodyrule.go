package refrainhttp

import "fmt"

// A bodyRule is a BodyRule compiled.
type bodyRule struct {
	at      *pointer
	without *pointer // or nil
	class   Class
}

func (r BodyRule) compile() (c bodyRule, err error) {
	if r.Class < Final || r.Class > Unknown {
		return c, fmt.Errorf("%q with the class %d is no rule", r.Pointer, r.Class)
	}
	c.class = r.Class
	if c.at, err = newPointer(r.Pointer); err == nil && r.Without != "" {
		c.without, err = newPointer(r.Without)
	}
	return c, err
}

// byBody returns the class of the first rule that fits the answer's body, zero if none does. Only whole answers of JSON are
// looked into, and those are in memory.
func (t *classes) byBody(c *capture, work *workspace) Class {
	if len(t.bodies) == 0 || c.omitted || !isJSON(essence(c.header["Content-Type"])) {
		return 0
	}
	for i := range t.bodies {
		if t.bodies[i].fits(c.body, work) {
			return t.bodies[i].class
		}
	}
	return 0
}

func (r *bodyRule) fits(body []byte, work *workspace) bool {
	return r.at.holds(body, work) && (r.without == nil || !r.without.holds(body, work))
}

// holds reports whether there is more than nothing at the pointer.
func (p *pointer) holds(doc []byte, work *workspace) bool {
	found, ok := p.find(doc, work)
	return ok && isThere(found)
}
