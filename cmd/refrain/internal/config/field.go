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
		bind(o, "fingerprint.of", &f.Of, list(word([]string{"method", "path", "query", "media-type"}))),
		bind(o, "fingerprint.body", &f.Body, word([]refrainhttp.BodyMode{"auto", "raw", "json", "none"})),
		bind(o, "fingerprint.include", &f.Include, list(pointer())),
		bind(o, "fingerprint.exclude", &f.Exclude, list(pointer())),
		bind(o, "fingerprint.headers", &f.Headers, list(compared())),
		bind(o, "fingerprint.digest", &f.Digest, word([]refrainhttp.DigestMode{"ignore", "verify", "require"})),
	}
}

// marks is a kind of lists of header lines in which the default ones are not shown.
func marks() kind[[]string] {
	k := list(line())
	usual := k.show(refrainhttp.Policy{}.WithDefaults().Answers.Marks)
	show := k.show
	k.show = func(lines []string) string {
		if s := show(lines); s != usual {
			return s
		}
		return ""
	}
	return k
}

// answerFields are the settings about how answers are marked and worded.
func (p *Policy) answerFields() []field {
	a := &p.Answers
	fields := []field{
		bind(p.origins, "answers.marks", &a.Marks, marks()),
		bind(p.origins, "answers.outcome_marks", &a.OutcomeMarks, quiet(list(line()))),
		bind(p.origins, "answers.release_marks", &a.ReleaseMarks, quiet(list(line()))),
	}
	for _, w := range []struct {
		name   string
		answer *refrainhttp.Answer
	}{
		{"problem", &a.Problem},
		{"key_missing", &a.KeyMissing},
		{"key_invalid", &a.KeyInvalid},
		{"mismatch", &a.Mismatch},
		{"in_progress", &a.InProgress},
		{"unknown", &a.Unknown},
		{"expired", &a.Expired},
		{"not_replayable", &a.NotReplayable},
		{"unavailable", &a.Unavailable},
		{"body_too_large", &a.BodyTooLarge},
		{"unsupported", &a.Unsupported},
		{"too_late", &a.TooLate},
		{"unverified", &a.Unverified},
		{"repeat", &a.Repeat},
		{"unreachable", &a.Unreachable},
		{"unanswered", &a.Unanswered},
	} {
		name := "answers." + w.name + "."
		fields = append(fields,
			bind(p.origins, name+"status", &w.answer.Status, quiet(integer(200, 599))),
			bind(p.origins, name+"code", &w.answer.Code, text()),
			bind(p.origins, name+"detail", &w.answer.Detail, text()),
			bind(p.origins, name+"header", &w.answer.Header, quiet(list(line()))),
			bind(p.origins, name+"body", &w.answer.Body, text()),
		)
	}
	return fields
}
