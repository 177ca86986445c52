package conformance

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A published contract is what a service tells of one of its routes.
type published struct {
	Match   string
	Dialect string
	Key     struct {
		From      []string
		FirstSent string `json:"first_sent"`
	}
	Lifetime float64
	ISO8601  string `json:"lifetime_iso8601"`
	Problems []struct{ Code string }
}

// published returns what the service tells of all of its routes.
func (t *trial) published() []published {
	a := t.bare()
	a.method, a.path, a.body = http.MethodGet, "/.well-known/idempotency", ""
	r := t.send(a)
	var all struct{ Routes []published }
	err := json.Unmarshal([]byte(r.body), &all)
	t.wrong(r.status == 200 && err == nil && len(all.Routes) > 0, "got %s, want the contract", r)
	return all.Routes
}

// here returns what the service tells of the trial's route.
func (t *trial) here() published {
	all := t.published()
	i := slices.IndexFunc(all, func(p published) bool { return p.Match == t.c.method()+" /" })
	if i < 0 {
		t.wrong(false, "the contract of %s / is not published", t.c.method())
		return published{}
	}
	return all[i]
}

// publishes: where keys go, for how long they protect and what can go wrong is there to be read, and found from the resource.
func publishes(t *trial) {
	p := t.here()
	t.wrong(p.Dialect == t.c.Dialect && len(p.Key.From) > 0 && p.Lifetime > 0 && len(p.Problems) > 0, "got %+v", p)
	t.script(Answer{Status: http.StatusNotFound})
	a := t.bare()
	a.method, a.body = http.MethodOptions, ""
	r := t.send(a)
	linked := strings.Contains(r.header.Get("Link"), "</.well-known/idempotency>")
	t.wrong(r.status == 200 && linked, "OPTIONS: got %s %q", r, r.header["Link"])
}

// protectsFor: answers are kept for that long at least.
func protectsFor(atLeast time.Duration) func(*trial) {
	return func(t *trial) {
		got := time.Duration(t.here().Lifetime) * time.Second
		t.wrong(got >= atLeast, "answers are kept for %s, want %s", got, atLeast)
	}
}

// advertises: a catalog's configuration says for how long keys protect on all of its routes.
func advertises(t *trial) {
	shortest := slices.MinFunc(t.published(), func(a, b published) int { return int(a.Lifetime - b.Lifetime) })
	a := t.bare()
	a.method, a.path, a.body = http.MethodGet, "/v1/config", ""
	t.sys.Upstream.Script(a.path, Answer{Status: 200, Body: []byte(`{"defaults":{},"overrides":{}}`)})
	t.is(t.send(a), verdict{status: 200, members: []string{"/idempotency-key-lifetime=" + shortest.ISO8601, "/overrides"}})
}
