package refrainhttp

import "time"

// A Dialect is a contract that clients already hold, written down as a Policy: where the key is, what it is unique within,
// what two uses of it have in common, which answers are kept, and how the answers are worded. Nothing in the path of a
// request knows one dialect from another.
type Dialect struct {
	Name string
	// Contract says whose it is and where it is written.
	Contract string
	// Methods are those of the requests that it is about.
	Methods []string
	// Policy is complete but for zero values, which are those of the default dialect. It may be changed: a dialect of one's own
	// is another one with some fields set.
	Policy Policy
}

// Dialects returns the built-in dialects, the default one first.
func Dialects() []Dialect {
	all := []Dialect{
		{Name: "default", Contract: "Refrain", Methods: []string{"POST", "PATCH"}},
		ietf(), stripe(), stripeV2(), acp(), acpMCP(), ucp(), ucpMCP(), oasis(), azure(), adyen(), checkout(), gocardless(),
		square(), paypal(), iceberg(), zuora(), increase(),
	}
	all = append(all, senders()...)
	for i := range all {
		all[i].Policy.Dialect = all[i].Name
	}
	return all
}

// LookupDialect returns the built-in dialect of that name, and whether there is one.
func LookupDialect(name string) (Dialect, bool) {
	for _, d := range Dialects() {
		if d.Name == name {
			return d, true
		}
	}
	return Dialect{}, false
}

const (
	second = time.Second
	minute = time.Minute
	hour   = time.Hour
	day    = 24 * time.Hour
)
