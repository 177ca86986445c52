package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// converse asks for a payment, again, for another one with the same key, and without a key.
func converse(url string) error {
	contract, err := published(url)
	if err != nil {
		return err
	}
	for n, turn := range []struct {
		about  string
		amount int
		keyed  bool
	}{
		{"A payment.", 100, true},
		{"Its answer was lost: the same again.", 100, true},
		{"The same key for another payment.", 999, true},
		{"No key.", 100, false},
	} {
		fmt.Printf("\n# %s\n", turn.about)
		r := newRequest(&contract, turn.amount, n+1)
		if turn.keyed {
			r.put(&contract.Key)
		}
		if err := r.send(url); err != nil {
			return err
		}
	}
	return nil
}

// published returns the contract of the first route.
func published(url string) (refrainhttp.Contract, error) {
	resp, err := http.Get(url + refrainhttp.WellKnown)
	if err != nil {
		return refrainhttp.Contract{}, err
	}
	defer resp.Body.Close()
	var all struct{ Routes []refrainhttp.Contract }
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil || len(all.Routes) == 0 {
		return refrainhttp.Contract{}, fmt.Errorf("reading %s: %d routes: %w", refrainhttp.WellKnown, len(all.Routes), err)
	}
	return all.Routes[0], nil
}

// A request is one that a client sends.
type request struct {
	method, path string
	header       http.Header
	body         map[string]any
}

// newRequest returns one for a payment. Where an answer repeats the id of its request, that is a call of a tool, as in MCP; each
// has an id of its own.
func newRequest(c *refrainhttp.Contract, amount, id int) *request {
	method, path, _ := strings.Cut(c.Match, " ")
	body := map[string]any{"amount": amount}
	if len(c.Answers.Echo) > 0 {
		body = map[string]any{
			"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": map[string]any{"name": "pay", "arguments": body},
		}
	}
	return &request{method, path, http.Header{"Authorization": {"Bearer alice"}}, body}
}

// put puts a key where the contract says, and as it says.
func (r *request) put(k *refrainhttp.KeyContract) {
	place, names, _ := strings.Cut(k.From[0], ":")
	for name := range strings.SplitSeq(names, ",") {
		switch place {
		case "body":
			putAt(r.body, strings.Split(name, "/")[1:], key(k.Format))
		default: // a header field, or several
			r.header.Set(name, key(k.Format))
		}
	}
	if k.FirstSent != "" {
		r.header.Set(k.FirstSent, time.Now().UTC().Format(http.TimeFormat))
	}
}

// putAt puts a text where names lead.
func putAt(in map[string]any, names []string, text string) {
	if len(names) == 1 {
		in[names[0]] = text
		return
	}
	inner, ok := in[names[0]].(map[string]any)
	if !ok {
		inner = map[string]any{}
		in[names[0]] = inner
	}
	putAt(inner, names[1:], text)
}

// key returns a key. A client makes a new one for each operation.
func key(f refrainhttp.Format) string {
	switch f {
	case refrainhttp.SFString:
		return `"order-1"`
	case refrainhttp.UUID:
		return "8e03978e-40d5-43dd-bc93-6894a57f9324"
	case refrainhttp.UUID7:
		return "019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071"
	}
	return "order-1"
}

// send sends the request and prints it and its answer.
func (r *request) send(url string) error {
	body, err := json.Marshal(r.body)
	if err != nil {
		return err
	}
	fmt.Printf("> %s %s\n", r.method, r.path)
	printFields(">", r.header)
	fmt.Printf("> %s\n", body)
	req, err := http.NewRequest(r.method, url+r.path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = r.header
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	fmt.Printf("< %s\n", resp.Status)
	printFields("<", resp.Header)
	fmt.Printf("< %s\n", bytes.TrimSpace(answer))
	return err
}

func printFields(mark string, h http.Header) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if name == "Date" || name == "Content-Length" {
			continue
		}
		fmt.Printf("%s %s: %s\n", mark, name, strings.Join(h[name], ", "))
	}
}
