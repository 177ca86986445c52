package refrainhttp

import (
	"net/http"
	"slices"
	"time"

	"github.com/refrain-dev/refrain"
)

// A Policy says how requests are protected. The zero Policy works.
type Policy struct {
	// Operation is the core's policy. Here a zero Wait means 5 seconds, and a negative one that duplicates of an operation
	// in flight are answered at once.
	Operation refrain.Policy
	// Probe asks whether an unknown operation happened, for an Operation whose Unknown is refrain.Probe.
	Probe Probe
	// Dialect names the contract that the policy is, for those whom Middleware.Publish tells. If empty, default.
	Dialect string
	// Mode is Enforce if empty.
	Mode Mode
	Key  Key
	// Batch is about requests that are many operations.
	Batch Batch
	// Principal says who a request comes from: the first source that it has. Two principals never share an operation. If
	// nil, Authorization and then X-Api-Key; requests with neither share the scope of the unknown caller. Among those, two
	// with different cookies, Authorization or X-Api-Key are never taken for the same request: the second is a mismatch.
	Principal []Source
	// RouteScope says what of the route a key is bound to. If empty, RoutePattern.
	RouteScope RouteScope
	// ScopeHeaders lists header fields that a key is bound to as well, such as the tenant that a caller acts for: the key is new
	// with another value, and without the field. Nobody proves what they say, so they stand beside the principal, never for it.
	ScopeHeaders []string
	// ScopeBody lists members of a body of JSON that a key is bound to as well, as JSON pointers (RFC 6901), such as the operation
	// where one path has many: the key is new with another value, and without the member.
	ScopeBody   []string
	Fingerprint Fingerprint
	Outcomes    Outcomes
	Limits      Limits
	Answers     Answers
	// Verify, if not nil, says whether a request is what its sender signed, after its body was read and before anything is
	// looked up. Its error goes to the log and must not hold a secret; the client gets a 401.
	Verify func(r *http.Request, body []byte) error
	// ReplayHeaders, if not nil, lists the only header fields that a replay carries besides Content-Type. If nil, a replay
	// carries everything that was stored. Set-Cookie is stored only for a principal that nobody else has, and cannot be listed
	// by a policy that knows no such principals.
	ReplayHeaders []string
	// Echo lists members that an answer of JSON repeats of its request, as JSON pointers (RFC 6901): /id in JSON-RPC. A replay
	// has them as its own request has them, byte for byte if it is a string or a number, else null. Members that the recorded
	// answer does not have are not added. A body that is changed so has no ETag, digest or signature any more, and an answer of
	// JSON that is compressed is not replayed but said to be done. The fingerprint should exclude them.
	Echo []string
}

// A Mode says how far a policy goes.
type Mode string

// The modes.
const (
	Enforce Mode = "enforce" // protect
	Observe Mode = "observe" // report what would have happened, never interfere
	Off     Mode = "off"     // do nothing
	Refuse  Mode = "refuse"  // refuse requests with a key: their client relies on what these operations do not offer
)

// Key says where the client's key is and how it looks.
type Key struct {
	// Required refuses requests without a key. Otherwise they pass unprotected.
	Required bool
	// From lists the places that may hold the key; the first that a request has counts:
	//
	//	header:NAME            a header field
	//	query:NAME             a parameter of the URL
	//	form:NAME              a field of a body of application/x-www-form-urlencoded
	//	body:/a/b              a JSON pointer (RFC 6901) into a body of JSON, to a string or a number
	//	tuple:NAME,NAME        several header fields that make one key together
	//	sequence:NAME          a header field with a number, alone: see SequenceWindow
	//
	// If nil, header:Idempotency-Key.
	From []string
	// Format is Lenient if empty.
	Format Format
	// MinLength and MaxLength bound the key in bytes, at most 1024. If zero, 1 and 255.
	MinLength, MaxLength int
	// FirstSent names the header field with the time of the first attempt (an HTTP date), which must then accompany the key,
	// and FirstSentWithin how long ago that may be, no longer than a key is remembered, or zero for any time: see the OASIS
	// Repeatable Requests. By as much as keys are remembered longer, clocks may differ: a time further in the future is refused.
	// If empty, there is no such field.
	FirstSent       string
	FirstSentWithin time.Duration
	// SequenceWindow is for keys that are numbers, each greater than the last, from 0 to 2^63-1, which a principal counts for
	// itself in the scope of the route. Gaps are allowed. Of the numbers up to the greatest that was used, that many, or
	// up to an eighth more, are in the window: such a number is an operation like any other, and known as used for as long as
	// it is there, whatever Operation.Tombstone says. A number below the window never runs. If zero, 1000.
	SequenceWindow int
	// DeriveWindow gives requests without a key one that is derived from their fingerprint: equal requests of one principal
	// are one operation while the first of them runs, and until the window has passed since its outcome was recorded. That
	// merges double clicks and what a load balancer sends twice, and is weaker than a client's key: two requests that are
	// meant to be two are one as well. Requests without a principal get no key, unless Principal is none. If zero, no key is
	// derived.
	DeriveWindow time.Duration
}

// A Format says how keys look.
type Format string

// The formats of keys.
const (
	Lenient  Format = "lenient"   // an RFC 9651 String or bare, both the same key
	SFString Format = "sf-string" // an RFC 9651 String; a bare key is refused, never ignored
	UUID     Format = "uuid"      // a UUID (RFC 9562), quoted or bare, in either case
	UUID7    Format = "uuid7"     // a UUID of version 7, likewise
	Bare     Format = "bare"      // as it stands; quotes are part of the key
)

// A Source says where to find the principal: "header:NAME", "cookie:NAME", a scheme of Config.Sources, or "none" (alone) when
// there are no principals to tell apart.
type Source string

// A RouteScope says what of the route a key is bound to: one of the constants, or "path:NAME,NAME", a resource: the pattern,
// and what the path has for its wildcards of those names. The key is new on another pattern and for another resource.
//
// A key used again within its scope on another path or with another method is a mismatch, whatever the RouteScope.
type RouteScope string

// The route scopes.
const (
	RoutePattern RouteScope = "pattern" // the pattern that matched: the key is new on another pattern
	RoutePath    RouteScope = "path"    // method and path: the key is new on another path
	RouteNone    RouteScope = "none"    // nothing: one space of keys for each principal
)

// Fingerprint says what makes two requests the same.
type Fingerprint struct {
	// Of lists what counts besides the body and the headers: any of method, path, query and media-type. If nil, all.
	Of []string
	// Body is BodyAuto if empty.
	Body BodyMode
	// Include and Exclude are JSON pointers (RFC 6901): the only parts of a body that count, and parts that do not. Exclude
	// wins. In a form, /name is the field of that name. They have no effect on bodies that are compared byte by byte.
	Include, Exclude []string
	// Headers names request header fields that count. Host is one of them, in any case.
	Headers []string
	// Digest says what becomes of a request with a Content-Digest (RFC 9530). If empty, it is ignored.
	Digest DigestMode
}

// A DigestMode says what becomes of a request with a Content-Digest.
type DigestMode string

// The digest modes.
const (
	DigestIgnore  DigestMode = "ignore"  // it says nothing
	DigestVerify  DigestMode = "verify"  // a body that is not what it says is refused
	DigestRequire DigestMode = "require" // as is a request without one
)

// A BodyMode says how request bodies are compared.
type BodyMode string

// The body modes.
const (
	BodyAuto BodyMode = "auto" // by media type: JSON, form, multipart form by its parts, else byte by byte
	BodyRaw  BodyMode = "raw"  // byte by byte
	BodyJSON BodyMode = "json" // as JSON whatever the media type says, byte by byte when it is not JSON
	BodyNone BodyMode = "none" // not at all
)

// Outcomes classes answers by status: each entry is a class ("2xx") or a single status ("429"), the more specific wins,
// and a status in no list is Unknown. A list that is nil has its default; an entry of another list overrules a default.
type Outcomes struct {
	Final   []string // if nil: 2xx, 3xx, 4xx
	Release []string // if nil: 401, 403, 408, 425, 429. A 503 with Retry-After too, unless "503" is listed
	Unknown []string // if nil: 5xx
	// Headers and Bodies are rules that go before the status, in this order; the first that fits counts. The header field
	// Idempotency-Outcome with the name of a class goes before them: it is how an upstream says it itself.
	Headers []HeaderRule
	Bodies  []BodyRule
	// Failures says how long the final answers of 400 and above are kept. Its zeros stand for what the Operation says.
	Failures refrain.Keep
}

// A HeaderRule classes answers that have a header field with that value, in any case.
type HeaderRule struct {
	Name, Value string
	Class       Class
}

// A BodyRule classes answers of JSON, by their media type, that have that value at the pointer (RFC 6901), a string, a number,
// true or false; without a Value, something: neither null, false, zero nor empty. An answer that is longer than
// Limits.ResponseBody, or no document of a single meaning, fits no rule.
type BodyRule struct {
	Pointer, Value string
	Class          Class
}

// Limits bound what is kept in memory and in the store, in bytes.
type Limits struct {
	RequestBody  int64 // of keyed requests; a longer one is refused. If zero, 1 MiB
	ResponseBody int64 // a longer answer flows to its client and is not kept. If zero, 1 MiB
}

const (
	defaultWait      = 5 * time.Second
	defaultKeyLength = 255
	maxKeyLength     = 1024 // what the core allows
	defaultLimit     = 1 << 20
)

// WithDefaults returns the policy with every zero value made explicit, but for those of the core's policy, Wait excepted.
func (p Policy) WithDefaults() Policy {
	orElse(&p.Operation.Wait, defaultWait)
	orElse(&p.Dialect, "default")
	orElse(&p.Mode, Enforce)
	orElse(&p.Probe.Method, http.MethodGet)
	orElse(&p.Probe.Answer, Tombstone)
	if p.Key.From == nil {
		p.Key.From = []string{"header:" + headerKey}
	}
	if slices.ContainsFunc(p.Key.From, isSequence) {
		orElse(&p.Key.SequenceWindow, defaultWindow)
	}
	p.Batch = p.Batch.withDefaults()
	orElse(&p.Key.Format, Lenient)
	orElse(&p.Key.MinLength, 1)
	orElse(&p.Key.MaxLength, defaultKeyLength)
	if p.Principal == nil {
		p.Principal = []Source{"header:Authorization", "header:X-Api-Key"}
	}
	orElse(&p.RouteScope, RoutePattern)
	if p.Fingerprint.Of == nil {
		p.Fingerprint.Of = []string{"method", "path", "query", "media-type"}
	}
	orElse(&p.Fingerprint.Body, BodyAuto)
	orElse(&p.Fingerprint.Digest, DigestIgnore)
	orElse(&p.Limits.RequestBody, defaultLimit)
	orElse(&p.Limits.ResponseBody, defaultLimit)
	p.Outcomes = p.Outcomes.withDefaults()
	p.Answers = p.Answers.withDefaults()
	return p
}

func orElse[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}
