package refrain

import "time"

// A Journal keeps endings on the local disk while the store cannot take them. Package journal implements it.
//
// The Guard calls the methods one at a time.
type Journal interface {
	// Append makes the entry durable before it returns nil.
	Append(JournalEntry) error
	// Remove forgets the entry of that token.
	Remove(ID, Token) error
	// Entries returns what is kept, in the order in which it was appended.
	Entries() ([]JournalEntry, error)
}

// A JournalEntry is an ending that the store does not know yet.
type JournalEntry struct {
	ID ID
	// Record is what the store should hold: done or unknown, with the token of the claim that ended.
	Record Record
	// Retention and Tombstone are those of the operation's policy.
	Retention, Tombstone time.Duration
	Route                string
}

func (e *JournalEntry) settlement() Settlement {
	s := Settlement{
		ID: e.ID, Token: e.Record.Token, Ending: Undecided, Outcome: e.Record.Outcome,
		Retention: e.Retention, Tombstone: e.Tombstone,
	}
	if e.Record.State == StateDone {
		s.Ending = Finished
	}
	return s
}
