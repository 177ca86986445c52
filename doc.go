// Package refrain is the core of an idempotency layer: it makes the side effect of a retried operation happen once and
// gives every retry the first answer.
//
// A [Guard] decides about each arrival of an operation. [Guard.Begin] answers exactly one [Verdict]: run it, replay the
// recorded outcome, or tell the caller that it is in flight, mismatched, unknown or expired. Whoever is told to run owns a
// claim and ends it with [Attempt.Finish], [Attempt.Release] or [Attempt.MarkUnknown]. [Do] wraps the three steps around a
// plain function.
//
// What a Guard remembers lives in a [Store]. The protocol itself, what a claim, a settlement or a renewal does to a
// record, is the pure functions [Claim.Apply], [Settlement.Apply] and [Renewal.Apply]; embedded stores call them, and
// stores that run them inside a database are tested against them.
//
// The package knows nothing of HTTP; package refrainhttp speaks it.
package refrain
