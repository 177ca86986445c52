package refrain

import "time"

// An Observer is told what a Guard does, for metrics. Its method is called on the request's path and may be called
// concurrently: it must be quick and must not block.
type Observer interface {
	Observe(Event)
}

// An Event is one thing that happened. Fields that do not apply to its kind are zero.
type Event struct {
	Kind    EventKind
	Route   string        // of the operation's scope; never the key
	Verdict Verdict       // of EventVerdict
	Ending  Ending        // of EventSettled, EventUnrecorded, EventStale, EventRecovered and EventResolved
	Answer  Answer        // of EventProbed
	Took    time.Duration // EventVerdict: since Begin; EventSettled: since the claim; EventStoreCall, EventProbed: of the call
	Call    string        // EventStoreCall: "claim", "settle" or "renew"
	Err     error         // EventStoreCall, EventProbed: what went wrong
}

// An EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	EventVerdict    EventKind = iota + 1 // Begin answered
	EventSettled                         // an attempt ended and the store knows it
	EventUnrecorded                      // an attempt ended and the store does not know it yet
	EventRecovered                       // what was unrecorded is recorded now
	EventStale                           // a settlement or renewal was refused: another claim is newer
	EventDropped                         // an unrecorded ending was given up; the operation stays unknown
	EventStoreCall                       // a call to the store returned
	EventProbed                          // an upstream was asked what became of an unknown operation
	EventResolved                        // an operator resolved an operation; its route is not known
)
