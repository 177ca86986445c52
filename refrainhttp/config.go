package refrainhttp

import (
	"log/slog"
	"time"

	"github.com/refrain-dev/refrain"
)

// Config configures a Middleware. The zero Config works: it protects POST and PATCH on every path with the zero Policy.
type Config struct {
	// Policy governs every request when there are no Routes. With Routes it is not used.
	Policy Policy
	// Routes say which requests are protected, and how. Others pass through untouched.
	Routes []Route
	// BodyMemory bounds the bytes of request bodies that are held in memory at one time; a keyed request beyond it is
	// refused with 503. If zero, 256 MiB.
	BodyMemory int64
	// Logger gets a line for whatever needs an operator's eye. If nil, nothing is logged.
	Logger *slog.Logger
	// Observer is told of every request on a protected route, for metrics. If nil, nobody is.
	Observer Observer
}

// A Route gives requests a policy.
type Route struct {
	// Match lists patterns as [http.ServeMux] knows them: "POST /charges/{id}/capture". The most specific one wins; two
	// that overlap without one being more specific are an error. A pattern without a method matches all, but the keys of
	// safe methods (GET, HEAD, OPTIONS, TRACE) are always ignored.
	Match []string
	// Policy is complete: nothing is inherited from Config.Policy.
	Policy Policy
}

// A Policy says how requests are protected. The zero Policy works.
type Policy struct {
	// Operation is the core's policy. Here a zero Wait means 5 seconds, and a negative one that duplicates of an operation
	// in flight are answered at once.
	Operation refrain.Policy
	// Mode is Enforce if empty.
	Mode Mode
	Key  Key
	// Principal says who a request comes from: the first source that it has. Two principals never share an operation. If
	// nil, Authorization and then X-Api-Key; requests with neither share the scope of the unknown caller. Among those, two
	// with different cookies are never taken for the same request: the second is a mismatch.
	Principal []Source
	// RouteScope says what of the route a key is bound to. If empty, RoutePattern.
	RouteScope  RouteScope
	Fingerprint Fingerprint
	Outcomes    Outcomes
	Limits      Limits
	// ReplayHeaders, if not nil, lists the only header fields that a replay carries besides Content-Type. If nil, a replay
	// carries everything that was stored.
	ReplayHeaders []string
}

// A Mode says how far a policy goes.
type Mode string

// The modes.
const (
	Enforce Mode = "enforce" // protect
	Observe Mode = "observe" // report what would have happened, never interfere
	Off     Mode = "off"     // do nothing
)

// Key says where the client's key is and how it looks.
type Key struct {
	// Required refuses requests without a key. Otherwise they pass unprotected.
	Required bool
	// Headers names the header fields that may hold the key; the first that a request has counts. If nil, Idempotency-Key.
	Headers []string
	// Format is Lenient if empty.
	Format Format
	// MaxLength bounds the key in bytes, at most 1024. If zero, 255.
	MaxLength int
}

// A Format says how keys look.
type Format string

// The formats of keys.
const (
	Lenient  Format = "lenient"   // an RFC 9651 String or bare, both the same key
	SFString Format = "sf-string" // an RFC 9651 String; a bare key is refused, never ignored
	UUID     Format = "uuid"      // a UUID (RFC 9562), quoted or bare, in either case
	UUID7    Format = "uuid7"     // a UUID of version 7, likewise
)

// A Source says where to find the principal: "header:NAME", or "none" (alone) when there are no principals to tell
// apart.
type Source string

// A RouteScope says what of the route a key is bound to. A key used again within its scope on another path or with
// another method is a mismatch, whatever the RouteScope.
type RouteScope string

// The route scopes.
const (
	RoutePattern RouteScope = "pattern" // the pattern that matched: the key is new on another pattern
	RoutePath    RouteScope = "path"    // method and path: the key is new on another path
	RouteNone    RouteScope = "none"    // nothing: one space of keys for each principal
)

// Fingerprint says what makes two requests the same. Method, path, query and media type always count.
type Fingerprint struct {
	// Body is BodyAuto if empty.
	Body BodyMode
	// Include and Exclude are JSON pointers (RFC 6901) into JSON bodies: the only parts that count, and parts that do not.
	// Exclude wins. They have no effect on bodies that are not compared as JSON.
	Include, Exclude []string
	// Headers names request header fields that count.
	Headers []string
}

// A BodyMode says how request bodies are compared.
type BodyMode string

// The body modes.
const (
	BodyAuto BodyMode = "auto" // by media type: JSON, form, else byte by byte
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

// withDefaults returns the policy with every zero value made explicit.
func (p Policy) withDefaults() Policy {
	switch {
	case p.Operation.Wait == 0:
		p.Operation.Wait = defaultWait
	case p.Operation.Wait < 0:
		p.Operation.Wait = 0
	}
	orElse(&p.Mode, Enforce)
	if p.Key.Headers == nil {
		p.Key.Headers = []string{headerKey}
	}
	orElse(&p.Key.Format, Lenient)
	orElse(&p.Key.MaxLength, defaultKeyLength)
	if p.Principal == nil {
		p.Principal = []Source{"header:Authorization", "header:X-Api-Key"}
	}
	orElse(&p.RouteScope, RoutePattern)
	orElse(&p.Fingerprint.Body, BodyAuto)
	orElse(&p.Limits.RequestBody, defaultLimit)
	orElse(&p.Limits.ResponseBody, defaultLimit)
	p.Outcomes = p.Outcomes.withDefaults()
	return p
}

func orElse[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}
