package conformance

import "time"

const replayedMark = "Idempotent-Replayed: true"

func plain() Contract {
	e := usual("Idempotency-Key")
	e.methods, e.marker, e.waits = []string{"POST", "PATCH"}, replayedMark, true
	return Contract{Dialect: "default", Name: "Refrain's own", expectations: e, Rules: rules([]Rule{
		{Test: "echo-key", Section: refrain, Level: Promise, check: echoes},
		{Test: "sf-quoted", Section: refrain, Level: Promise, check: quotedIsBare},
		{Test: "form-spelling", Section: refrain, Level: Promise, check: forms},
		{Test: "multipart-boundary", Section: refrain, Level: Promise, check: parts},
	}, common())}
}

func ietf() Contract {
	e := usual("Idempotency-Key")
	e.methods, e.marker, e.limit, e.place = []string{"POST", "PATCH"}, replayedMark, 1024, quotedIn("Idempotency-Key")
	const page = "https://github.com/refrain-dev/refrain/blob/main/docs/problems.md#key-missing"
	const link = "Link: <" + page + `>; rel="describedby"; type="text/html"`
	e.missing.fields = append(e.missing.fields, link)
	return Contract{Dialect: "ietf", Name: "draft-ietf-httpapi-idempotency-key-header-07", expectations: e, Rules: rules([]Rule{
		{Test: "first-executes", Section: "§2.6", Level: Should, check: firstExecutes},
		{Test: "replay-completed", Section: "§2.6", Level: Should, check: replays},
		{Test: "no-key-required", Section: "§2.7", Level: Should, check: requires},
		{Test: "inflight-409", Section: "§2.6, §2.7", Level: Should, check: conflicts},
		{Test: "mismatch-body", Section: "§2.7", Level: Should, check: mismatches},
		{Test: "mismatch-in-flight", Section: "§2.7", Level: Should, check: mismatchesInFlight},
		{
			Test: "sf-quoted", Section: "§2.1, RFC 9651 §3.3.3", Level: Must,
			check: accepts(true, `"abc-1"`, `"abc-2";v=1`, `"a \"b\" \\ c"`, ` "abc-3" `),
		},
		{
			Test: "sf-bad", Section: "RFC 9651 §4.2", Level: Must,
			check: accepts(false, `abc`, `"a`, `"a\x"`, `"é"`, `8`, `a1b2`, `8e03978e-40d5-43dd-bc93-6894a57f9324`,
				`ae03978e-40d5-43dd-bc93-6894a57f9324`, `"a", "b"`, `:YWJj:`, "\"a\tb\""),
		},
		{Test: "length", Section: "RFC 9651 §3.3.3", Level: Must, check: lengths},
		{Test: "two-principals", Section: "§5", Level: Should, check: principals},
		{Test: "5xx-policy", Section: "§2.6", Level: Should, of: 500, check: keeps(500)},
		{Test: "published", Section: "§2.3, §2.5.2", Level: Must, check: publishes},
	}, common())}
}

func acp() Contract {
	e := usual("Idempotency-Key")
	e.marker, e.paths, e.expired = replayedMark, again, 0
	e.fates = map[int]fate{402: replayed, 429: again, 500: again}
	e.shaped("/type=invalid_request", "/code=CODE", "/message")
	code := func(v *verdict, code string) { v.members[1] = "/code=" + code }
	code(&e.missing, "idempotency_key_required")
	code(&e.mismatch, "idempotency_conflict")
	code(&e.inFlight, "idempotency_in_flight")
	e.inFlight.fields = append(e.inFlight.fields, "Retry-After:")
	e.away.members = []string{"/type=service_unavailable", "/code=idempotency_unavailable", "/message"}
	return Contract{Dialect: "acp", Name: "Agentic Commerce Protocol, rfc.agentic_checkout §6", expectations: e, Rules: rules([]Rule{
		{Test: "first-executes", Section: "§6", Level: Must, check: firstExecutes},
		{Test: "replay-completed", Section: "§6", Level: Must, check: replays},
		{Test: "replay-marker", Section: "§6", Level: Should, check: marks},
		{Test: "echo-key", Section: "§6", Level: Must, check: echoes},
		{Test: "no-key-required", Section: "§6", Level: Must, check: demands},
		{Test: "inflight-409", Section: "§6", Level: Must, check: conflicts},
		{Test: "inflight-retry-after", Section: "§6", Level: Should, check: retryAfter},
		{Test: "mismatch-body", Section: "§6", Level: Must, check: mismatches},
		{Test: "json-order-equal", Section: "§6", Level: Must, check: jsonOrder},
		{Test: "json-number-equal", Section: "§6", Level: Must, check: jsonNumber},
		{Test: "json-null-vs-absent", Section: "§6", Level: Must, check: jsonNull},
		{Test: "json-array-order", Section: "§6", Level: Must, check: jsonArray},
		{Test: "headers-excluded", Section: "§6", Level: Must, check: ignoresMedia},
		{Test: "path-differs", Section: "§6", Level: Must, check: paths},
		{Test: "key-opaque", Section: "§6", Level: Must, check: opaque},
		{Test: "length", Section: "§6", Level: Must, check: lengths},
		{Test: "two-principals", Section: "§6", Level: Must, check: principals},
		{Test: "4xx-saved", Section: "§6", Level: Must, of: 402, check: keeps(402)},
		{Test: "5xx-policy", Section: "§6", Level: Must, of: 500, check: keeps(500)},
		{Test: "ttl", Section: "§6", Level: Must, check: expires},
		{Test: "remembered", Section: "§6", Level: Must, check: protectsFor(24 * time.Hour)},
		{
			Test: "5xx-of-the-proxy", Section: "§6", Level: Must,
			Not: "a 502 or 504 that the proxy itself gives because the upstream did not answer is no permission to run again: " +
				"the effect may have happened. Set unknown: rerun where the API can stand it",
		},
		{
			Test: "acid", Section: "§6", Level: Should,
			Not: "the key and the effect are in two places; only an API that stores the key itself can write both at once",
		},
		{Test: "mcp-key", Section: "MCP binding", Level: Must, By: "acp-mcp", check: overMCP(acpMCP)},
	}, except(common(), "query-differs", "no-key-optional"))}
}

func ucp() Contract {
	e := usual("Idempotency-Key")
	e.methods, e.marker, e.raw = []string{"POST", "PUT", "PATCH", "DELETE"}, replayedMark, true
	e.mismatch.status, e.broken = 409, problem(400, "body-broken")
	return Contract{Dialect: "ucp", Name: "Universal Commerce Protocol, August 2026", expectations: e, Rules: rules([]Rule{
		{Test: "replay-completed", Section: "Idempotency", Level: Must, check: replays},
		{Test: "mismatch-body", Section: "Idempotency", Level: Must, check: mismatches},
		{Test: "json-order-equal", Section: "RFC 9530 §2", Level: Must, check: jsonOrder},
		{Test: "json-number-equal", Section: "RFC 9530 §2", Level: Must, check: jsonNumber},
		{Test: "put-delete-policy", Section: "Idempotency", Level: Should, check: protects},
		{Test: "store-down", Section: "Idempotency", Level: Must, Alone: true, check: failsClosed},
		{Test: "key-opaque", Section: "Idempotency", Level: Must, check: opaque},
		{Test: "remembered", Section: "Idempotency", Level: Should, check: protectsFor(48 * time.Hour)},
		{Test: "digest-verified", Section: "RFC 9530 §2", Level: Promise, check: digests},
		{
			Test: "signatures", Section: "RFC 9421", Level: Must,
			Not: "whether a signature covers the key is for who verifies signatures, in front or behind",
		},
		{Test: "mcp-key", Section: "MCP binding", Level: Must, By: "ucp-mcp", check: overMCP(ucpMCP)},
	}, except(common(), "query-differs"))}
}

func oasis() Contract {
	e := usual(requestID)
	e.methods, e.place, e.expired = []string{"POST", "PUT", "PATCH", "DELETE"}, repeatable, 412
	e.fates = map[int]fate{402: replayed, 429: again, 500: replayed}
	e.mismatch.status = 400
	for _, v := range []*verdict{&e.missing, &e.invalid, &e.mismatch} {
		v.fields = append(v.fields, result+": rejected")
	}
	const name = "OASIS Repeatable Requests 1.0, Committee Specification Draft 02"
	return Contract{Dialect: "oasis", Name: name, expectations: e, Rules: rules(append(repeatableRules(), []Rule{
		{Test: "5xx-policy", Section: "result", Level: Must, of: 500, check: keeps(500)},
		{Test: "oasis-window", Section: "window", Level: Must, check: oasisSentAgo(23*time.Hour, accepted(), 1)},
		{Test: "oasis-old-date", Section: "window", Level: Must, check: oasisSentAgo(25*time.Hour, rejected(412), 0)},
		{Test: "put-delete-policy", Section: "methods", Level: Must, check: protects},
	}...), except(common(), "length"))}
}

// repeatableRules are those of OASIS that its users share.
func repeatableRules() []Rule {
	return []Rule{
		{Test: "oasis-accepted", Section: "result", Level: Must, check: oasisAccepted},
		{Test: "oasis-id-only", Section: "request fields", Level: Must, check: oasisIDOnly},
		{Test: "oasis-date-only", Section: "request fields", Level: Must, check: oasisDateOnly},
		{Test: "oasis-bad-date", Section: "request fields", Level: Must, check: oasisBadDate},
		{Test: "oasis-unsupported", Section: "unsupported operations", Level: Must, check: oasisUnsupported},
		{Test: "oasis-released", Section: "result", Level: Must, check: oasisRejectsReleased},
		{Test: "oasis-claims-nothing", Section: "result", Level: Promise, check: oasisClaimsNothing},
		{Test: "oasis-client-id", Section: "request fields", Level: Should, check: clientIDs},
		{Test: "get-ignored", Section: "methods", Level: Must, check: ignoresSafe},
		{Test: "replay-completed", Section: "result", Level: Must, check: replays},
		{Test: "mismatch-body", Section: "known requests", Level: May, check: mismatches},
		{Test: "path-differs", Section: "known requests", Level: Should, check: paths},
		{Test: "query-differs", Section: "known requests", Level: Should, check: queries},
		{Test: "ttl", Section: "window", Level: Must, check: expires},
		{Test: "key-case", Section: "request fields", Level: Must, check: anyCase},
		{
			Test: "key-form", Section: "request fields", Level: Must,
			check: accepts(false, "abc", "8e03978e40d543ddbc936894a57f9324", ""),
		},
		{Test: "unauthenticated", Section: "security", Level: Must, check: unauthenticated},
		{Test: "published", Section: "guidelines", Level: Must, check: publishes},
		{
			Test: "oasis-unreliable", Section: "window", Level: Must,
			Not: "while the store is away nobody knows whether a request was executed before. It is not executed and gets 503 with " +
				"Retry-After; 412 and rejected would tell the retry of one that was executed that it never was",
		},
		{
			Test: "oasis-result-always", Section: "result", Level: Must,
			Not: "of an operation that runs, or whose outcome nobody knows, neither accepted nor rejected is true, and none is said",
		},
		{
			Test: "oasis-header-differs", Section: "known requests", Level: Should,
			Not: "clients and what is between change header fields with every attempt; fingerprint.headers lists those that count",
		},
		{
			Test: "oasis-batch", Section: "batch", Level: Must,
			Not: "nothing in a request says that it is a batch; give its route mode: refuse, which answers 501, rejected",
		},
		{Test: "oasis-clean-up", Section: "clean-up", Level: May, Not: "records end with their retention"},
	}
}

func azure() Contract {
	c := oasis()
	c.Dialect, c.Name = "azure", "Azure REST API guidelines; Azure Communication Services"
	c.methods = []string{"POST"}
	c.fates = map[int]fate{402: replayed, 429: again, 500: again}
	c.Rules = rules([]Rule{
		{Test: "remembered", Section: "guidelines", Level: Must, check: protectsFor(5 * time.Minute)},
		{Test: "azure-window", Section: "guidelines", Level: Must, check: oasisSentAgo(4*time.Minute+50*time.Second, accepted(), 1)},
		{Test: "oasis-old-date", Section: "window", Level: Must, check: oasisSentAgo(5*time.Minute+10*time.Second, rejected(412), 0)},
		{Test: "inflight-409", Section: "Communication Services", Level: Must, check: conflicts},
		{Test: "4xx-saved", Section: "Communication Services", Level: Must, of: 402, check: keeps(402)},
		{Test: "5xx-policy", Section: "Communication Services", Level: Must, of: 500, check: keeps(500)},
		{Test: "inflight-retry-after", Section: "guidelines", Level: Should, check: retryAfter},
	}, except(repeatableRules(), "put-delete-policy"), except(common(), "length"))
	return c
}

func iceberg() Contract {
	e := usual("Idempotency-Key")
	e.methods, e.marker, e.fresh, e.waits = []string{"POST", "DELETE"}, replayedMark, uuid7, true
	e.fates = map[int]fate{402: replayed, 409: replayed, 204: replayed, 429: again, 500: again, 503: again}
	e.shaped("/error/type=CODE", "/error/message", "/error/code")
	return Contract{Dialect: "iceberg", Name: "Apache Iceberg REST catalog", expectations: e, Rules: rules([]Rule{
		{Test: "replay-completed", Section: "idempotency-key", Level: Must, check: replays},
		{Test: "put-delete-policy", Section: "idempotency-key", Level: Must, check: protects},
		{
			Test: "uuid7-only", Section: "idempotency-key", Level: Must,
			check: accepts(false, "8e03978e-40d5-43dd-bc93-6894a57f9324", "abc", "019a2b3c-4d5e-7f60-ca1b-2c3d4e5f6071"),
		},
		{Test: "key-case", Section: "RFC 9562 §4", Level: Promise, check: anyCase},
		{Test: "204-saved", Section: "idempotency-key", Level: Must, of: 204, check: keeps(204)},
		{Test: "4xx-saved", Section: "idempotency-key", Level: Must, of: 409, check: keeps(409)},
		{Test: "5xx-policy", Section: "idempotency-key", Level: Must, of: 500, check: keeps(500)},
		{Test: "503-not-saved", Section: "idempotency-key", Level: Must, of: 503, check: keeps(503)},
		{Test: "unauthenticated", Section: "Polaris", Level: Should, check: unauthenticated},
		{Test: "429-not-saved", Section: "Polaris", Level: Should, of: 429, check: keeps(429)},
		{Test: "iceberg-config", Section: "GET /v1/config", Level: Must, check: advertises},
		{
			Test: "newer-state", Section: "idempotency-key", Level: May,
			Not: "a replay is the first answer, not the state of today",
		},
	}, except(common(), "length"))}
}
