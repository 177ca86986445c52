package refrainhttp

import "log/slog"

// Config configures a Middleware. The zero Config works: it protects POST and PATCH on every path with the zero Policy.
type Config struct {
	// Policy governs every request when there are no Routes. With Routes it is not used.
	Policy Policy
	// Routes say which requests are protected, and how. Others pass through untouched.
	Routes []Route
	// Sources find principals by schemes that this package does not know.
	Sources Sources
	// Lifetime, if it has a Match, has Middleware.Publish add how long keys protect to an answer of the API itself.
	Lifetime Lifetime
	// Gateway says that the handler asks an API and tells by Fail when it is not answered, so that Contracts tell of it too.
	Gateway bool
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
