package refrainhttp

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// A Class says what an answer means for its operation.
type Class uint8

// The classes.
const (
	Final   Class = iota + 1 // the operation is done, every retry gets this answer
	Release                  // nothing happened, the next request runs
	Unknown                  // it may have happened: no retry runs, and each is told so
)

func (c Class) String() string {
	return [...]string{"none", "final", "release", "unknown"}[c]
}

// SetOutcome lets the handler of a keyed request overrule the class that its answer's status has. The last call before
// the handler returns, or before an answer that is not kept begins to flow, counts. ctx is that of the handler's
// request; for a request that is not protected SetOutcome does nothing. It may be called concurrently.
func SetOutcome(ctx context.Context, c Class) {
	if chosen, ok := ctx.Value(choiceKey{}).(*choice); ok {
		chosen.class.Store(uint32(c))
	}
}

// MarkIncomplete says that the answer of a keyed request may not be whole, as one that an upstream ended by closing the
// connection: it goes to the client, but what would be Final is Unknown, and the answer is not kept. It must be called
// before the handler returns, and for an answer that is not kept before it begins to flow.
func MarkIncomplete(ctx context.Context) {
	if chosen, ok := ctx.Value(choiceKey{}).(*choice); ok {
		chosen.incomplete.Store(true)
	}
}

// A choice is what a handler said about its outcome, if anything.
type choice struct {
	class      atomic.Uint32
	incomplete atomic.Bool
}

type choiceKey struct{}

// classes are Outcomes compiled: the class of every status from 100 to 599.
type classes struct {
	of        [500]Class
	listed503 bool
	headers   []HeaderRule
	bodies    []bodyRule
	places    *selector // of the bodies' rules
}

// A bodyRule is a BodyRule compiled.
type bodyRule struct {
	at    *pointer
	value string // if empty, any that is there
	class Class
}

func (r *bodyRule) fits(found []byte) bool {
	if r.value == "" {
		return isThere(found)
	}
	text, isScalar := scalarText(found)
	return isScalar && text == r.value || string(found) == r.value
}

func (o Outcomes) withDefaults() Outcomes {
	if o.Final == nil {
		o.Final = []string{"2xx", "3xx", "4xx"}
	}
	if o.Release == nil {
		o.Release = []string{"401", "403", "408", "425", "429"}
	}
	if o.Unknown == nil {
		o.Unknown = []string{"5xx"}
	}
	return o
}

// compile lays classes under single statuses, and defaults under what was asked for.
func (o Outcomes) compile() (*classes, error) {
	t := &classes{}
	if o.Failures.Retention < 0 {
		return nil, fmt.Errorf("outcomes: failures: retention is %s; it must not be negative", o.Failures.Retention)
	}
	if err := t.addRules(&o); err != nil {
		return nil, err
	}
	all := o.withDefaults()
	lists := [...]struct {
		class      Class
		entries    []string
		isExplicit bool
	}{
		{Final, all.Final, o.Final != nil},
		{Release, all.Release, o.Release != nil},
		{Unknown, all.Unknown, o.Unknown != nil},
	}
	chosen := map[string]Class{}
	for _, single := range []bool{false, true} {
		for _, explicit := range []bool{false, true} {
			for _, l := range lists {
				if l.isExplicit != explicit {
					continue
				}
				if err := t.lay(l.class, l.entries, single, explicit, chosen); err != nil {
					return nil, err
				}
			}
		}
	}
	return t, nil
}

func (t *classes) lay(c Class, entries []string, single, explicit bool, chosen map[string]Class) error {
	for _, e := range entries {
		from, to, err := statuses(e)
		if err != nil {
			return fmt.Errorf("outcomes: %w", err)
		}
		if (from == to) != single {
			continue
		}
		if was, ok := chosen[e]; explicit && ok && was != c {
			return fmt.Errorf("outcomes: %s is in two lists, %s and %s", e, was, c)
		}
		if explicit {
			chosen[e] = c
		}
		for s := from; s <= to; s++ {
			t.of[s-100] = c
		}
		t.listed503 = t.listed503 || single && from == http.StatusServiceUnavailable
	}
	return nil
}

// statuses returns the range that an entry names.
func statuses(entry string) (from, to int, err error) {
	if len(entry) == 3 && entry[1:] == "xx" && entry[0] >= '2' && entry[0] <= '5' {
		from = int(entry[0]-'0') * 100
		return from, from + 99, nil
	}
	from, err = strconv.Atoi(entry)
	if err != nil || from < 200 || from > 599 {
		return 0, 0, fmt.Errorf("%q is neither a class (2xx to 5xx) nor a status (200 to 599)", entry)
	}
	return from, from, nil
}

func (t *classes) addRules(o *Outcomes) error {
	for _, r := range o.Headers {
		if !isToken(r.Name) || r.Class < Final || r.Class > Unknown {
			return fmt.Errorf("outcomes: headers: %q with the class %d is no rule", r.Name, r.Class)
		}
		r.Name = http.CanonicalHeaderKey(r.Name)
		t.headers = append(t.headers, r)
	}
	t.places = &selector{included: true}
	for _, r := range o.Bodies {
		at := &pointer{text: r.Pointer}
		err := at.join(t.places)
		if err != nil || r.Class < Final || r.Class > Unknown {
			return fmt.Errorf("outcomes: bodies: %q with the class %d is no rule: %w", r.Pointer, r.Class, err)
		}
		t.bodies = append(t.bodies, bodyRule{at, r.Value, r.Class})
	}
	return nil
}

// headerOutcome is how an upstream says itself what its answer means.
const headerOutcome = "Idempotency-Outcome"

// classify returns the class of an answer, by its rules and then by its status.
func (t *classes) classify(c *capture, work *workspace) Class {
	if lines := c.header[headerOutcome]; len(lines) > 0 {
		for class := Final; class <= Unknown; class++ {
			if strings.EqualFold(lines[0], class.String()) {
				return class
			}
		}
	}
	for _, r := range t.headers {
		if lines := c.header[r.Name]; len(lines) > 0 && strings.EqualFold(lines[0], r.Value) {
			return r.Class
		}
	}
	if class := t.byBody(c, work); class != 0 {
		return class
	}
	return t.byStatus(c.status, c.header)
}

// byBody returns the class of the first rule that fits the answer's body, zero if none does. Only answers of JSON that are
// there as a whole are looked into.
func (t *classes) byBody(c *capture, work *workspace) Class {
	if len(t.bodies) == 0 || c.omitted || !isJSON(essence(c.header["Content-Type"])) {
		return 0
	}
	if !slices.ContainsFunc(t.bodies, func(r bodyRule) bool { return r.at.mayBeIn(c.body) }) {
		return 0 // nearly always, and reading it all costs something
	}
	b, plain := work.json.append(work.b[:0], c.body, t.places)
	work.b = b
	for _, r := range t.bodies {
		if found, _ := work.json.wanted(r.at.node); plain && r.fits(found) {
			return r.class
		}
	}
	return 0
}

func (t *classes) byStatus(status int, h http.Header) Class {
	if status < 100 || status > 599 {
		return Unknown
	}
	if status == http.StatusServiceUnavailable && !t.listed503 && len(h["Retry-After"]) > 0 {
		return Release
	}
	if c := t.of[status-100]; c != 0 {
		return c
	}
	return Unknown
}
