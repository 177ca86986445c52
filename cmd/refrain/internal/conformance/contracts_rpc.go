package conformance

import (
	"fmt"
	"strings"
	"time"
)

// callBody is a call of a tool of an MCP server.
const callBody = `{"jsonrpc":"2.0","id":1,"method":"tools/call",` +
	`"params":{"name":"pay","arguments":{"meta":{},"payload":` + order + `}}}`

// inMeta puts a key into the metadata of a call.
func inMeta(member string) func(*ask, string) {
	return func(a *ask, key string) {
		a.body = strings.Replace(a.body, `"meta":{}`, fmt.Sprintf(`"meta":{%q:%q}`, member, key), 1)
	}
}

// calls are the expectations of who has the key in the metadata of a call, whose errors have the members in their data.
func (e *expectations) calls(key string, data ...string) {
	plain := usual("")
	e.body, e.place, e.header, e.methods = callBody, inMeta(key), "", plain.methods
	e.missing, e.invalid, e.mismatch, e.inFlight, e.away, e.lost = plain.missing, plain.invalid, plain.mismatch, plain.inFlight,
		plain.away, plain.lost
	members := []string{"/error/data/code=CODE", "/jsonrpc=2.0", "/id=1", "/error/code=-32000", "/error/message"}
	e.shaped(append(members, data...)...)
	e.inFlight.fields = append(e.inFlight.fields, "Retry-After:")
	e.away.fields = append(e.away.fields, "Retry-After:")
}

// rpcRules are those of JSON-RPC and of MCP.
func rpcRules() []Rule {
	const rpc, mcp = "JSON-RPC 2.0 §5", "MCP, Streamable HTTP"
	return []Rule{
		{Test: "mcp-id", Section: rpc, Level: Must, check: ownIDs},
		{Test: "mcp-error-id", Section: rpc, Level: Must, check: errorIDs},
		{Test: "mcp-meta-differs", Section: "MCP, _meta", Level: Promise, check: otherProgress},
		{Test: "mcp-input-required", Section: "MCP 2026-07-28, multi round-trip requests", Level: Must, check: asksBack},
		{Test: "mcp-passes", Section: mcp, Level: Promise, check: passesMessages},
		{Test: "no-key-required", Section: refrain, Level: Promise, check: requires},
		{
			Test: "mcp-stream", Section: mcp, Level: Must,
			Not: "an answer that is a stream of events (text/event-stream) flows as it comes and is not kept: its retry does not run, " +
				"and is told so. Let the server answer calls that change something with application/json, which clients must take too",
		},
		{
			Test: "mcp-batch", Section: "MCP 2025-03-26", Level: May,
			Not: "a batch of JSON-RPC has no one key; it is refused if a call in it has one, else it passes. MCP has none since " +
				"2025-06-18",
		},
	}
}

func acpMCP() Contract {
	const binding = "MCP binding"
	c := acp()
	c.Dialect, c.Name = "acp-mcp", "Agentic Commerce Protocol, MCP binding"
	c.calls("idempotency_key", "/error/data/type=invalid_request", "/error/data/message")
	for code, v := range map[string]*verdict{
		"idempotency_key_required": &c.missing, "key-invalid": &c.invalid, "idempotency_conflict": &c.mismatch,
		"idempotency_in_flight": &c.inFlight,
	} {
		v.status, v.members[0] = 200, "/error/data/code="+code
	}
	c.away.members[0], c.away.members[5] = "/error/data/code=idempotency_unavailable", "/error/data/type=service_unavailable"
	c.lost.members[5] = "/error/data/type=processing_error"
	c.Rules = rules([]Rule{
		{Test: "mcp-key", Section: binding, Level: Must, check: replays},
		{Test: "no-key-optional", Section: binding, Level: Must, check: passes},
		{Test: "mcp-tools-apart", Section: "§6.1", Level: Must, check: toolsApart(again)},
		{Test: "mcp-metadata", Section: binding, Level: Must, check: otherMetadata},
		{
			Test: "mcp-errors", Section: "§6.5", Level: Must, check: rpcFates(map[string]fate{
				`"error":{"code":-32000,"message":"m","data":{"type":"processing_error"}}`:    again,
				`"error":{"code":-32000,"message":"m","data":{"type":"service_unavailable"}}`: again,
				`"error":{"code":-32603,"message":"m"}`:                                       again,
				`"error":{"code":-32000,"message":"m","data":{"type":"invalid_request"}}`:     replayed,
				`"result":{"isError":true,"content":[]}`:                                      replayed,
			}),
		},
	}, rpcRules(), except(c.Rules, "echo-key", "key-lines", "json-twice"))
	return c
}

func ucpMCP() Contract {
	const binding, table, once = "MCP binding", "error codes", "replay protection"
	c := ucp()
	c.Dialect, c.Name, c.raw = "ucp-mcp", "Universal Commerce Protocol, MCP binding, August 2026", false
	c.calls("idempotency-key", "/error/data/content")
	c.mismatch.status = 409
	for _, v := range []*verdict{&c.inFlight, &c.away} {
		v.members = append(v.members, "/error/data/retry_after")
	}
	c.lost.members[3] = "/error/code=-32603"
	c.broken = verdict{400, nil, []string{"/id=1", "/error/code=-32600", "/error/data/code=digest_mismatch"}}
	c.Rules = rules([]Rule{
		{Test: "mcp-key", Section: binding, Level: Must, check: replays},
		{Test: "mismatch-body", Section: table, Level: Must, check: mismatches},
		{Test: "mcp-tools-apart", Section: once, Level: Must, check: toolsApart(refused)},
		{Test: "mcp-signed-key", Section: "message signatures", Level: Must, check: keyInField},
		{Test: "digest-verified", Section: table, Level: Must, check: digests},
		{Test: "store-down", Section: once, Level: Must, Alone: true, check: failsClosed},
		{Test: "remembered", Section: once, Level: Should, check: protectsFor(48 * time.Hour)},
		{
			Test: "mcp-errors", Section: table, Level: Must, check: rpcFates(map[string]fate{
				`"error":{"code":-32603,"message":"m"}`:                          held,
				`"error":{"code":-32000,"message":"m","data":{"retry_after":1}}`: again,
				`"error":{"code":-32000,"message":"m","data":{"code":"c"}}`:      replayed,
				`"result":{"structuredContent":{"messages":[{"type":"error"}]}}`: replayed,
			}),
		},
		{
			Test: "mcp-bytes", Section: once, Level: Must,
			Not: "each request has an id of its own, so that the bytes of a retry are never those of the first; bodies are compared as " +
				"JSON, without id and _meta",
		},
		{
			Test: "mcp-required", Section: binding, Level: Must,
			Not: "which tools need a key is for the server, which refuses calls that do not fit its schema; a route cannot tell them " +
				"apart",
		},
	}, rpcRules(), except(c.Rules, "json-order-equal", "json-number-equal", "put-delete-policy", "key-lines", "json-twice"),
		except(common(), "query-differs", "key-lines", "json-twice"))
	return c
}
