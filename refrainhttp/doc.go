// Package refrainhttp makes HTTP operations happen once: middleware for net/http that recognises a repeated request by
// its Idempotency-Key and gives it the first answer again.
//
// [New] compiles a [Config] around a [refrain.Guard]; [Middleware.Wrap] puts it in front of a handler. The zero Config
// protects POST and PATCH on every path. A request flows one way:
//
//	recognise the route → key → scope → fingerprint → Begin → run or answer → classify → Finish → reply
//
// The first request runs in its own goroutine but not in its client's context: a client that hangs up does not stop the
// operation. Its answer is captured in memory and recorded before the first byte of it is sent, so whatever a client
// saw, its retry sees again. Answers over the limit and streams are not kept: a tombstone is recorded, then they flow,
// and a retry is told that the operation is done but its answer was not kept.
//
// Every answer to a keyed request says in Idempotency-Status what it is; refusals are problem documents (RFC 9457).
package refrainhttp
