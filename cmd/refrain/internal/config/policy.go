package config

import (
	"maps"
	"slices"
	"time"
)

// A Policy is what the file says about requests: its defaults section, or a route, which begins as a copy of it. The
// fields are those of the file.
type Policy struct {
	Mode        string
	Dialect     string
	Key         Key
	Scope       Scope
	Fingerprint Fingerprint
	Wait        time.Duration // in_flight.wait
	Outcome     Outcome
	Unknown     string
	Lease       time.Duration
	Timeout     time.Duration
	Retention   time.Duration
	Tombstone   time.Duration
	StoreDown   string
	Limits      Limits

	origins map[string]Origin // of what is not a built-in default, by field
}

// A Key says where a request's key is and what it must look like.
type Key struct {
	Required  bool
	From      []string
	Format    string
	MaxLength int
}

// A Scope says what a key is unique within.
type Scope struct {
	Principal []string
	Route     string
}

// A Fingerprint says what two uses of a key must have in common.
type Fingerprint struct {
	Body             string
	Include, Exclude []string
	Headers          []string
}

// An Outcome says what an answer's status means for the operation. Each list holds classes, such as 4xx, and single
// statuses, which win over their class.
type Outcome struct {
	Final, Release, Unknown []string
}

// Limits bound the bodies of keyed requests, in bytes.
type Limits struct {
	RequestBody, ResponseBody int64
}

// builtin returns the policy of a file that says nothing.
func builtin() Policy {
	return Policy{
		Mode:        "enforce",
		Dialect:     "default",
		Key:         Key{From: []string{"header:Idempotency-Key"}, Format: "lenient", MaxLength: 255},
		Scope:       Scope{Principal: []string{"header:Authorization", "header:X-Api-Key"}, Route: "pattern"},
		Fingerprint: Fingerprint{Body: "auto"},
		Wait:        5 * time.Second,
		Outcome: Outcome{
			Final:   []string{"2xx", "3xx", "4xx"},
			Release: []string{"401", "403", "408", "425", "429"},
			Unknown: []string{"5xx"},
		},
		Unknown:   "hold",
		Lease:     30 * time.Second,
		Timeout:   time.Minute,
		Retention: day,
		Tombstone: 7 * day,
		StoreDown: "closed",
		Limits:    Limits{RequestBody: 1 << 20, ResponseBody: 1 << 20},
		origins:   map[string]Origin{},
	}
}

// settle completes a policy that was read whole: a default list of statuses gives up those that the file lists elsewhere.
func (p *Policy) settle() {
	classes := p.Outcome.classes()
	for _, class := range classes {
		if _, given := p.origins[class.field]; given {
			continue
		}
		*class.statuses = slices.DeleteFunc(slices.Clone(*class.statuses), func(s string) bool {
			return slices.ContainsFunc(classes, func(other outcomeClass) bool {
				return other.field != class.field && slices.Contains(*other.statuses, s)
			})
		})
	}
}

// An outcomeClass is one of the lists of an Outcome.
type outcomeClass struct {
	field    string
	statuses *[]string
}

func (o *Outcome) classes() []outcomeClass {
	return []outcomeClass{
		{"outcome.final", &o.Final}, {"outcome.release", &o.Release}, {"outcome.unknown", &o.Unknown},
	}
}

// clone returns a copy that shares nothing that reading changes.
func (p *Policy) clone() Policy {
	c := *p
	c.origins = maps.Clone(p.origins)
	return c
}

// fields returns the settings of the policy: what they are called, how they are read and shown. The first words of word
// and source are what this version supports, the others what later ones bring.
func (p *Policy) fields() []field {
	o := p.origins
	return []field{
		bind(o, "mode", &p.Mode, word([]string{"enforce", "observe", "off"})),
		bind(o, "dialect", &p.Dialect, word([]string{"default"}, "ietf", "stripe", "acp", "ucp", "oasis", "adyen",
			"checkout", "iceberg", "webhook")),
		bind(o, "key.required", &p.Key.Required, boolean()),
		bind(o, "key.from", &p.Key.From, list(source(nil, "query", "body", "tuple"))),
		bind(o, "key.format", &p.Key.Format, word([]string{"lenient", "sf-string", "uuid", "uuid7"})),
		bind(o, "key.max_length", &p.Key.MaxLength, integer(1, 1024)),
		bind(o, "scope.principal", &p.Scope.Principal, list(source([]string{"none"}, "jwt", "cookie", "mtls", "client-ip"))),
		bind(o, "scope.route", &p.Scope.Route, word([]string{"pattern", "path", "none"})),
		bind(o, "fingerprint.body", &p.Fingerprint.Body, word([]string{"auto", "raw", "json", "none"})),
		bind(o, "fingerprint.include", &p.Fingerprint.Include, list(pointer())),
		bind(o, "fingerprint.exclude", &p.Fingerprint.Exclude, list(pointer())),
		bind(o, "fingerprint.headers", &p.Fingerprint.Headers, list(header())),
		bind(o, "in_flight.wait", &p.Wait, duration(0, time.Hour)),
		bind(o, "outcome.final", &p.Outcome.Final, list(status())),
		bind(o, "outcome.release", &p.Outcome.Release, list(status())),
		bind(o, "outcome.unknown", &p.Outcome.Unknown, list(status())),
		bind(o, "unknown", &p.Unknown, word([]string{"hold", "rerun"}, "probe")),
		bind(o, "lease", &p.Lease, duration(100*time.Millisecond, time.Hour)),
		bind(o, "timeout", &p.Timeout, duration(10*time.Millisecond, day)),
		bind(o, "retention", &p.Retention, duration(time.Second, 3650*day)),
		bind(o, "tombstone", &p.Tombstone, duration(0, 3650*day)),
		bind(o, "store_down", &p.StoreDown, word([]string{"closed", "open"})),
		bind(o, "limits.request_body", &p.Limits.RequestBody, size(maxBody)),
		bind(o, "limits.response_body", &p.Limits.ResponseBody, size(maxBody)),
	}
}

// maxBody bounds the limits of bodies: each is held in memory while its request lasts.
const maxBody = 64 << 20

// Settings returns every setting of the policy, in the order of the file's reference.
func (p *Policy) Settings() []Setting { return settings(p.fields(), p.origins) }
