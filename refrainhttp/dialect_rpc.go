package refrainhttp

import (
	"net/http"
	"slices"
)

// Commerce protocols have their operations as tools of an MCP server too: requests of JSON-RPC to one path. Whatever is said of
// an operation is an answer of JSON-RPC with the id of the request, and each attempt has an id of its own.

// acpMCP is acp over MCP. What is said of an operation comes with 200, as the answers of JSON-RPC do: clients look for type and
// code in the error's data, and not all that MCP has read the body of an error of HTTP. What is about HTTP, such as who calls,
// keeps its status.
func acpMCP() Dialect {
	d := acp()
	d.Name, d.Contract = "acp-mcp", "Agentic Commerce Protocol, MCP binding"
	p := &d.Policy
	p.Key.Required = false // most requests are no operations, and of tools the key is recommended
	overMCP(p, "body:/params/arguments/meta/idempotency_key")
	p.ScopeBody = []string{"/params/name", "/params/arguments/id"}                  // which make a path over HTTP
	p.Fingerprint.Exclude = append(p.Fingerprint.Exclude, "/params/arguments/meta") // which are header fields over HTTP
	p.Outcomes.Bodies = append(p.Outcomes.Bodies,                                   // as 5xx over HTTP
		BodyRule{Pointer: "/error/data/type", Value: "processing_error", Class: Release},
		BodyRule{Pointer: "/error/data/type", Value: "service_unavailable", Class: Release},
		BodyRule{Pointer: "/error/code", Value: "-32603", Class: Release},
	)
	answer := func(kind string) string {
		return rpcError("-32000", `{"type":"`+kind+`","code":"${code}","message":"${detail}"}`)
	}
	a := &p.Answers
	a.Problem.Body = answer("invalid_request")
	for _, told := range []*Answer{
		&a.KeyMissing, &a.KeyInvalid, &a.Mismatch, &a.InProgress, &a.Unknown, &a.Expired, &a.NotReplayable, &a.Unsupported,
	} {
		told.Status = http.StatusOK
	}
	a.Unknown.Body, a.Unanswered.Body = answer("processing_error"), answer("processing_error")
	a.Unavailable.Body, a.Unreachable.Body = answer("service_unavailable"), answer("service_unavailable")
	return d
}

// ucpMCP is ucp over MCP, where the status of HTTP says first what an answer is. Bodies cannot be compared byte by byte: each
// attempt has an id of its own.
func ucpMCP() Dialect {
	d := ucp()
	d.Name, d.Contract, d.Methods = "ucp-mcp", "Universal Commerce Protocol, MCP binding, August 2026", []string{http.MethodPost}
	p := &d.Policy
	overMCP(p, "body:/params/arguments/meta/idempotency-key", "header:"+headerKey) // a signature covers the field
	p.ScopeBody = []string{"/params/name"}                                         // the type of operation
	p.Outcomes.Bodies = append(p.Outcomes.Bodies,
		BodyRule{Pointer: "/error/code", Value: "-32603", Class: Unknown}, // as 500 over HTTP
		BodyRule{Pointer: "/error/data/retry_after", Class: Release},      // as 429 and 503
	)
	const data = `{"code":"${code}","content":"${detail}"}`
	const later = `{"code":"${code}","content":"${detail}","retry_after":${retry_after}}`
	a := &p.Answers
	a.Problem.Body = rpcError("-32000", data)
	a.InProgress.Body, a.Unavailable.Body = rpcError("-32000", later), rpcError("-32000", later)
	a.Unanswered.Body = rpcError("-32603", data)
	a.BodyBroken = Answer{Code: "digest_mismatch", Body: rpcError("-32600", data)}
	return d
}

// overMCP is what the policies of tools have in common.
func overMCP(p *Policy, keys ...string) {
	p.Key.From = keys
	p.Echo = []string{"/id"}
	p.Fingerprint.Body = BodyJSON
	p.Fingerprint.Exclude = []string{"/id", "/params/_meta"}
	// The tool asks something, and the answer comes with the same key.
	p.Outcomes.Bodies = []BodyRule{{Pointer: "/result/resultType", Value: "input_required", Class: Release}}
	p.Answers.Problem.Header = slices.Concat(p.Answers.Problem.Header, []string{"Content-Type: " + mediaJSON})
}

// rpcError is the body of an error of JSON-RPC.
func rpcError(code, data string) string {
	return `{"jsonrpc":"2.0","id":${request:/id},"error":{"code":` + code + `,"message":"${detail}","data":` + data + `}}`
}
