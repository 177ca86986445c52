package refrain

import "context"

// A Lister is a Store that can tell which operations it knows.
type Lister interface {
	// List returns a page of the operations in a state, as of the store's clock and in the order of their IDs. Fewer than
	// the query's Limit say that there are no more. It shows only what is durable, but it is no snapshot: an operation whose
	// state changes meanwhile is in it or not. ctx ends it early, with an error.
	List(ctx context.Context, q ListQuery) ([]Listed, error)
}

// A ListQuery says which operations to list. The zero ListQuery lists the first hundred of all.
type ListQuery struct {
	State State // if StateAbsent, any
	From  ID    // the first ID that may be listed
	Limit int   // how many at most; if zero, 100
}

// A Listed is an operation in a list.
type Listed struct {
	ID ID
	// Record is what is known of it, but for its Outcome, which may be large: Store.Get has it.
	Record Record
}

// A Walker is a Lister that goes through all operations faster than page by page, for it has no order of them.
type Walker interface {
	// Walk calls f for each operation, one after the other, as of the store's clock. One that is there all the time is shown,
	// perhaps twice when the store is just growing or shrinking. ctx ends it early, with an error.
	Walk(ctx context.Context, f func(Listed)) error
}
