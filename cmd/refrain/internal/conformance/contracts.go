package conformance

// Contracts returns what is expected of every built-in dialect, in the order of the reference.
func Contracts() []Contract {
	all := []Contract{
		plain(), ietf(), stripe(), stripeV2(), acp(), acpMCP(), ucp(), ucpMCP(), oasis(), azure(), adyen(), checkout(),
		gocardless(), square(), paypal(), iceberg(), zuora(), increase(),
	}
	return append(all, senders()...)
}

const refrain = "Refrain"

// common are the rules that every contract between a client and an API can stand, as far as its own rules do not say otherwise.
func common() []Rule {
	return []Rule{
		{Test: "first-executes", Section: refrain, Level: Promise, check: firstExecutes},
		{Test: "replay-completed", Section: refrain, Level: Promise, check: replays},
		{Test: "replay-marker", Section: refrain, Level: Promise, check: marks},
		{Test: "no-key-optional", Section: refrain, Level: Promise, check: passes},
		{Test: "no-key-required", Section: refrain, Level: Promise, check: requires},
		{Test: "different-keys", Section: refrain, Level: Promise, check: differs},
		{Test: "many-replays", Section: refrain, Level: Promise, check: replaysOften},
		{Test: "get-ignored", Section: "RFC 9110 §9.2.1", Level: Promise, check: ignoresSafe},
		{Test: "put-delete-policy", Section: refrain, Level: Promise, check: protects},
		{Test: "inflight-409", Section: refrain, Level: Promise, check: conflicts},
		{Test: "inflight-retry-after", Section: "RFC 9110 §10.2.3", Level: Promise, check: retryAfter},
		{Test: "storm-200", Section: refrain, Level: Promise, check: storms},
		{Test: "wait-mode", Section: refrain, Level: Promise, check: waits},
		{Test: "waiter-disconnect", Section: refrain, Level: Promise, check: hangsUp},
		{Test: "mismatch-body", Section: refrain, Level: Promise, check: mismatches},
		{Test: "mismatch-in-flight", Section: refrain, Level: Promise, check: mismatchesInFlight},
		{Test: "json-order-equal", Section: "RFC 8259 §4", Level: Promise, check: jsonOrder},
		{Test: "json-number-equal", Section: "RFC 8259 §6", Level: Promise, check: jsonNumber},
		{Test: "json-number-exact", Section: refrain, Level: Promise, check: jsonExact},
		{Test: "json-null-vs-absent", Section: refrain, Level: Promise, check: jsonNull},
		{Test: "json-array-order", Section: "RFC 8259 §5", Level: Promise, check: jsonArray},
		{Test: "json-twice", Section: "RFC 8259 §4", Level: Promise, check: jsonTwice},
		{Test: "query-differs", Section: refrain, Level: Promise, check: queries},
		{Test: "path-differs", Section: refrain, Level: Promise, check: paths},
		{Test: "length", Section: refrain, Level: Promise, check: lengths},
		{Test: "key-lines", Section: "RFC 9110 §5.3", Level: Promise, check: oneLine},
		{Test: "two-principals", Section: refrain, Level: Promise, check: principals},
		{Test: "attempt-headers", Section: refrain, Level: Promise, check: attempts},
		{Test: "preconditions", Section: "RFC 9110 §13.1.1", Level: Promise, check: preconditions},
		{Test: "unauthenticated", Section: refrain, Level: Promise, check: unauthenticated},
		{Test: "4xx-saved", Section: refrain, Level: Promise, of: 402, check: keeps(402)},
		{Test: "429-not-saved", Section: refrain, Level: Promise, of: 429, check: keeps(429)},
		{Test: "5xx-policy", Section: refrain, Level: Promise, of: 500, check: keeps(500)},
		{Test: "unanswered", Section: refrain, Level: Promise, check: unanswered},
		{Test: "outcome-header", Section: refrain, Level: Promise, check: says},
		{Test: "unreachable-releases", Section: "RFC 9110 §9.2.2", Level: Promise, Alone: true, check: releasesUnreached},
		{Test: "ttl", Section: refrain, Level: Promise, check: expires},
		{Test: "restart", Section: refrain, Level: Promise, Alone: true, check: survives},
		{Test: "crash-in-flight", Section: refrain, Level: Promise, Alone: true, check: crashes},
		{Test: "too-long-answer", Section: refrain, Level: Promise, check: tooLong},
		{Test: "published", Section: refrain, Level: Promise, check: publishes},
		{Test: "headers", Section: "RFC 9110 §7.6.1, §6.6.1", Level: Promise, check: keepsFields},
		{Test: "empty-and-binary", Section: refrain, Level: Promise, check: keepsBytes},
		{Test: "store-down", Section: refrain, Level: Promise, Alone: true, check: failsClosed},
	}
}

// except returns the rules but those of the tests.
func except(all []Rule, tests ...string) (rest []Rule) {
	for _, r := range all {
		keep := true
		for _, test := range tests {
			keep = keep && r.Test != test
		}
		if keep {
			rest = append(rest, r)
		}
	}
	return rest
}

// problem is the verdict of a problem document.
func problem(status int, code string, fields ...string) verdict {
	return verdict{status, append(fields, "Content-Type: application/problem+json"), []string{
		"/code=" + code, "/type=https://github.com/refrain-dev/refrain/blob/main/docs/problems.md#" + code, "/title", "/detail",
		"/retryable",
	}}
}

// usual are the expectations of who answers as Refrain does by itself.
func usual(header string) expectations {
	return expectations{
		methods: []string{"POST"}, place: inHeader(header), header: header, limit: 255, paths: refused, dropped: held, expired: 410,
		fates:   map[int]fate{402: replayed, 429: again, 500: held},
		marker:  "Idempotency-Status: replayed",
		missing: problem(400, "key-missing"), invalid: problem(400, "key-invalid"), mismatch: problem(422, "key-mismatch"),
		inFlight: problem(409, "in-progress", "Retry-After:"), away: problem(503, "unavailable", "Retry-After:"),
		lost: problem(502, "upstream-unanswered"),
	}
}

// shaped are verdicts with the same members.
func (e *expectations) shaped(members ...string) {
	for _, v := range []*verdict{&e.missing, &e.invalid, &e.mismatch, &e.inFlight, &e.away, &e.lost} {
		code := v.members[0]
		v.fields = []string{"Content-Type: application/json"}
		v.members = nil
		for _, m := range members {
			if name, found := cutCode(m); found {
				m = name + code[len("/code"):]
			}
			v.members = append(v.members, m)
		}
	}
}

// cutCode returns the pointer of a member that has the code.
func cutCode(m string) (string, bool) {
	const mark = "=CODE"
	if len(m) > len(mark) && m[len(m)-len(mark):] == mark {
		return m[:len(m)-len(mark)], true
	}
	return m, false
}
