package config

import (
	"slices"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// maxBody bounds the limits of bodies: each is held in memory while its request lasts.
const maxBody = 64 << 20

// fields returns the settings of the policy: what they are called, how they are read and shown. The words behind the first
// list of a word or source are what later versions bring.
func (p *Policy) fields() []field {
	o, op := p.origins, &p.Operation
	fields := []field{
		bind(o, "mode", &p.Mode, word([]refrainhttp.Mode{"enforce", "observe", "off", "refuse"})),
		bind(o, "dialect", &p.Dialect, word(p.known.names())),
	}
	fields = append(fields, p.requestFields()...)
	fields = append(fields, p.verifyFields()...)
	fields = append(fields,
		bind(o, "in_flight.wait", &op.Wait, orNone(duration(0, time.Hour))),
		bind(o, "outcome.final", &p.Outcomes.Final, list(status())),
		bind(o, "outcome.release", &p.Outcomes.Release, list(status())),
		bind(o, "outcome.unknown", &p.Outcomes.Unknown, list(status())),
		bind(o, "outcome.headers", &p.Outcomes.Headers, quiet(list(headerRule()))),
		bind(o, "outcome.bodies", &p.Outcomes.Bodies, quiet(list(bodyRule()))),
		bind(o, "outcome.failures.retention", &p.Outcomes.Failures.Retention, inherited(duration(time.Second, 3650*day))),
		bind(o, "outcome.failures.tombstone", &p.Outcomes.Failures.Tombstone, inherited(orNone(duration(0, 3650*day)))),
		bind(o, "unknown", &op.Unknown, choice[refrain.UnknownPolicy]([]string{"hold", "rerun", "probe"})),
		bind(o, "lease", &op.Lease, duration(100*time.Millisecond, time.Hour)),
		bind(o, "timeout", &op.Timeout, duration(10*time.Millisecond, day)),
		bind(o, "retention", &op.Retention, duration(time.Second, 3650*day)),
		bind(o, "tombstone", &op.Tombstone, orNone(duration(0, 3650*day))),
		bind(o, "store_down", &op.StoreDown, choice[refrain.StoreDownPolicy]([]string{"closed", "open"})),
		bind(o, "replay.headers", &p.ReplayHeaders, replayHeaders()),
		bind(o, "replay.echo", &p.Echo, quiet(list(pointer()))),
		bind(o, "limits.request_body", &p.Limits.RequestBody, size(maxBody)),
		bind(o, "limits.response_body", &p.Limits.ResponseBody, size(maxBody)),
	)
	return slices.Concat(fields, p.probeFields(), p.answerFields())
}

// requestFields are the settings about what a request is.
func (p *Policy) requestFields() []field {
	o, k, f := p.origins, &p.Key, &p.Fingerprint
	return []field{
		bind(o, "key.required", &k.Required, boolean()),
		bind(o, "key.from", &k.From, list(keySource())),
		bind(o, "key.format", &k.Format, word([]refrainhttp.Format{"lenient", "sf-string", "uuid", "uuid7", "bare"})),
		bind(o, "key.min_length", &k.MinLength, integer(1, 1024)),
		bind(o, "key.max_length", &k.MaxLength, integer(1, 1024)),
		bind(o, "key.first_sent", &k.FirstSent, header()),
		bind(o, "key.first_sent_within", &k.FirstSentWithin, quiet(duration(0, 3650*day))),
		bind(o, "key.sequence_window", &k.SequenceWindow, quiet(integer(1, 1_000_000))),
		bind(o, "key.derive.window", &k.DeriveWindow, quiet(duration(0, day))),
		bind(o, "batch.items", &p.Batch.Items, pointer()),
		bind(o, "batch.key", &p.Batch.Key, pointer()),
		bind(o, "batch.answers", &p.Batch.Answers, pointer()),
		bind(o, "batch.status", &p.Batch.Status, pointer()),
		bind(o, "batch.limit", &p.Batch.Limit, quiet(integer(1, 1000))),
		bind(o, "scope.principal", &p.Principal, list(principal())),
		bind(o, "scope.route", &p.RouteScope, routeScope()),
		bind(o, "scope.headers", &p.ScopeHeaders, list(bound())),
		bind(o, "scope.body", &p.ScopeBody, quiet(list(pointer()))),
		bind(o, "fingerprint.of", &f.Of, list(word([]string{"method", "path", "query", "media-type"}))),
		bind(o, "fingerprint.body", &f.Body, word([]refrainhttp.BodyMode{"auto", "raw", "json", "none"})),
		bind(o, "fingerprint.include", &f.Include, list(pointer())),
		bind(o, "fingerprint.exclude", &f.Exclude, list(pointer())),
		bind(o, "fingerprint.headers", &f.Headers, list(compared())),
		bind(o, "fingerprint.digest", &f.Digest, word([]refrainhttp.DigestMode{"ignore", "verify", "require"})),
	}
}
