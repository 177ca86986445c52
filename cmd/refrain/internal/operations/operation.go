// Package operations is the part of the admin API that is about single operations, and its client. It lets operators see what is
// unknown and say what became of it. It shows neither keys nor bodies, and it serves this machine only.
package operations

import (
	"encoding/hex"
	"time"

	"github.com/refrain-dev/refrain"
)

// An Operation is what an operator is told of one.
type Operation struct {
	ID    string `json:"id"` // 64 hexadecimal digits; logs show the first 16
	State string `json:"state"`
	// Route is the pattern of the request that it was found by.
	Route      string    `json:"route,omitempty"`
	Fence      uint64    `json:"fence,omitempty"`
	Created    time.Time `json:"created,omitzero"`
	Lease      time.Time `json:"lease,omitzero"`          // of one that runs: when its claim lapses unless it is renewed
	Retain     time.Time `json:"replayed_until,omitzero"` // of one that is done
	Forget     time.Time `json:"known_until,omitzero"`
	Answer     *Answer   `json:"answer,omitempty"` // what is recorded, without its content
	Unreadable bool      `json:"unreadable,omitempty"`
	Unrecorded bool      `json:"unrecorded,omitempty"` // it has ended, and the store does not know it yet
	Mark       bool      `json:"mark,omitempty"`       // it is no operation, but the mark of a sequence
}

// An Answer is what is told of a recorded one.
type Answer struct {
	Status int  `json:"status"`
	Bytes  int  `json:"bytes"` // of its body
	Kept   bool `json:"kept"`  // and not only that there was one
}

func describe(id refrain.ID, r *refrain.Record) Operation {
	op := Operation{
		ID: hex.EncodeToString(id[:]), State: r.State.String(), Fence: r.Fence, Created: r.Created.UTC(),
		Unreadable: r.State == refrain.StateUnknown && r.Token == refrain.Token{}, Mark: r.IsMark(),
	}
	switch r.State {
	case refrain.StateRunning:
		op.Lease = r.Lease.UTC()
	case refrain.StateDone, refrain.StateExpired:
		op.Retain, op.Forget = r.Retain.UTC(), r.Forget.UTC()
	case refrain.StateAbsent, refrain.StateUnknown:
	}
	if o := r.Outcome; o != nil {
		op.Answer = &Answer{Status: o.Status, Bytes: len(o.Body), Kept: !o.Omitted}
	}
	return op
}

// A Page is a part of the list of operations.
type Page struct {
	Operations []Operation `json:"operations"`
	// Next is what to ask for after this page; empty on the last.
	Next string `json:"next,omitempty"`
}

// Stats are how many operations there are in each state.
type Stats struct {
	Running int `json:"running"`
	Unknown int `json:"unknown"`
	Done    int `json:"done"`
	Expired int `json:"expired"`
	// Oldest is when the oldest unknown one was claimed.
	Oldest time.Time `json:"oldest_unknown,omitzero"`
}

// A Request is a client's, by which its operation is found.
type Request struct {
	Method  string              `json:"method"`
	URL     string              `json:"url"` // a path, or a URL where the host matters
	Headers map[string][]string `json:"headers"`
	Body    string              `json:"body"` // where the key is in it
	// Remote is the address that it came from, where that says whom it comes from. It had no certificate then.
	Remote string `json:"remote,omitempty"`
}

// The outcomes of a Resolution.
const (
	Happened     = "happened"
	DidNotHappen = "did-not-happen"
)

// A Resolution is an operator's word on an unknown operation.
type Resolution struct {
	Outcome string `json:"outcome"` // Happened or DidNotHappen
	// Fence is that of the operation as the operator saw it: a newer claim is not resolved.
	Fence uint64 `json:"fence"`
	// Status, Headers and Body are the answer that retries get. Without a status they are told that it is done.
	Status  int                 `json:"status,omitempty"`
	Headers map[string][]string `json:"headers,omitempty"`
	Body    string              `json:"body,omitempty"`
	// Binary is Body for one that is not text, in base64.
	Binary []byte `json:"body_base64,omitempty"`
	// Reason and By go to the log. They must hold no key.
	Reason string `json:"reason"`
	By     string `json:"by"`
}

// An Oblivion is an operator's order to forget an operation that is done.
type Oblivion struct {
	// Fence is that of the operation as the operator saw it: a newer claim is not forgotten.
	Fence uint64 `json:"fence"`
	// Reason and By go to the log. They must hold no key.
	Reason string `json:"reason"`
	By     string `json:"by"`
}
