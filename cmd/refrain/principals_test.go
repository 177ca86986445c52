package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/jwttest"
)

// A caller sends keyed requests with some header lines, from some address.
type caller struct {
	p      *process
	client *http.Client
	url    string
}

// from returns a caller at an address of this machine.
func (p *process) from(ip string) caller {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	p.t.Cleanup(transport.CloseIdleConnections)
	return caller{p, &http.Client{Transport: transport}, "http://" + p.listen}
}

// said is an answer in short.
type said struct {
	code, proto  int
	status, body string
	header       http.Header
}

// post sends a request with header lines such as "X-User: alice".
func (c caller) post(path, key string, lines ...string) said {
	c.p.t.Helper()
	req, err := c.p.request(path, key)
	if err != nil {
		c.p.t.Fatal(err)
	}
	req.URL.Scheme, req.URL.Host, _ = strings.Cut(c.url, "://")
	req.Header.Del("Authorization")
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		c.p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.p.t.Fatal(err)
	}
	return said{resp.StatusCode, resp.ProtoMajor, resp.Header.Get("Idempotency-Status"), string(body), resp.Header}
}

// want checks what became of a request.
func (s said) want(t *testing.T, what string, code int, status string) {
	t.Helper()
	if s.code != code || s.status != status {
		t.Errorf("%s: got %d %q %s, want %d %q", what, s.code, s.status, s.body, code, status)
	}
}

// withTokens starts a proxy whose principals are those of the issuer's tokens, and after them accounts.
func withTokens(t *testing.T, up *ledger, i *jwttest.Issuer) (p *process, file string) {
	t.Helper()
	text := "upstream: " + up.URL + "\nstore: \"memory:\"\n" + i.Section() + "defaults:\n  scope: { principal: [jwt:sub, header:X-Account] }\n"
	file = write(t, "refrain.yaml", text)
	return start(t, "--config", file), file
}

// A retry with a fresh token is the same operation, also when the issuer has changed its keys in between.
func TestTokenRefreshReplays(t *testing.T) {
	t.Parallel()
	up, i := newLedger(t), jwttest.New(t)
	p, _ := withTokens(t, up, i)
	c := p.from("127.0.0.1")
	first := c.post("/charges", "k1", "Authorization: Bearer "+i.Token(nil))
	first.want(t, "the first token", http.StatusCreated, "executed")
	for range 3 {
		again := c.post("/charges", "k1", "Authorization: Bearer "+i.Token(nil))
		again.want(t, "a fresh token", http.StatusCreated, "replayed")
		if again.body != first.body {
			t.Errorf("got %s, want %s", again.body, first.body)
		}
	}
	i.Rotate(t)
	c.post("/charges", "k1", "Authorization: Bearer "+i.Token(nil)).want(t, "a token by a new key", http.StatusCreated, "replayed")
	if n := up.counts()["k1"]; n != 1 {
		t.Errorf("got %d executions, want 1", n)
	}
	c.post("/charges", "k1", "Authorization: Bearer "+i.Token(jwttest.Claims{"sub": "bob"})).want(t, "bob", http.StatusCreated, "executed")
}

// Promise 7: nothing but a token that its issuer signed for this API reaches the scope of the one it names, or any other.
func TestPromise7ForgedTokensReachNobody(t *testing.T) {
	t.Parallel()
	up, i, evil := newLedger(t), jwttest.New(t), jwttest.New(t)
	p, _ := withTokens(t, up, i)
	c := p.from("127.0.0.1")
	good := i.Token(nil)
	c.post("/charges", "k1", "Authorization: Bearer "+good).want(t, "alice", http.StatusCreated, "executed")
	withdrawn := i.Token(nil)
	i.Rotate(t)
	c.post("/charges", "k2", "Authorization: Bearer "+i.Token(nil)).want(t, "alice by a new key", http.StatusCreated, "executed")
	runs := len(up.counts())
	head, tail, _ := strings.Cut(good, ".")
	for what, lines := range map[string][]string{
		"expired":                     {i.Token(jwttest.Claims{"exp": time.Now().Add(-time.Minute).Unix()})},
		"not yet valid":               {i.Token(jwttest.Claims{"nbf": time.Now().Add(time.Minute).Unix()})},
		"alg none":                    {i.Unsigned(nil)},
		"HS256 by the public key":     {i.Confused(nil)},
		"by another's key":            {evil.Token(nil)},
		"of another issuer":           {evil.Token(jwttest.Claims{"iss": "https://evil.example"})},
		"for another audience":        {i.Token(jwttest.Claims{"aud": "https://other.example"})},
		"by a key that was withdrawn": {withdrawn},
		"without its subject":         {i.Token(jwttest.Claims{"sub": nil})},
		"subject is a list":           {i.Token(jwttest.Claims{"sub": []string{"alice"}})},
		"changed":                     {head + "x." + tail},
		"no token at all":             {"alice"},
		"empty":                       {""},
		"two of them":                 {i.Token(nil), i.Token(nil)},
	} {
		for _, more := range [][]string{nil, {"X-Account: alice"}} {
			all := more
			for _, token := range lines {
				all = append(all, "Authorization: Bearer "+token)
			}
			got := c.post("/charges", "k1", all...)
			got.want(t, what, http.StatusUnauthorized, "")
			if !strings.Contains(got.body, `"code":"caller-unproven"`) || !strings.Contains(got.body, `"advice":"same-key"`) ||
				got.header.Get("WWW-Authenticate") != `Bearer error="invalid_token"` {
				t.Errorf("%s: got %v %s", what, got.header, got.body)
			}
			if lines[0] != "" && strings.Contains(got.body, lines[0]) {
				t.Errorf("%s: the answer has the token: %s", what, got.body)
			}
		}
	}
	if counts := up.counts(); len(counts) != runs || counts["k1"] != 1 {
		t.Errorf("got executions %v, want k1 once", counts)
	}
	c.post("/charges", "k1").want(t, "without a token", http.StatusCreated, "executed")
	c.post("/charges", "k1", "Authorization: Basic YTpi").want(t, "with other credentials", http.StatusUnprocessableEntity, "mismatch")
	c.post("/charges", "k1", "X-Account: alice").want(t, "an account that is called so", http.StatusCreated, "executed")
}

// A token that has expired is worth nothing, though its request's bytes are those that were answered before.
func TestExpiredTokenIsNotRecalled(t *testing.T) {
	t.Parallel()
	up, i := newLedger(t), jwttest.New(t)
	text := "upstream: " + up.URL + "\nstore: \"memory:\"\n" + i.Section() + "  leeway: 1s\ndefaults:\n  scope: { principal: [jwt:sub] }\n"
	p := start(t, "--config", write(t, "refrain.yaml", text))
	conn, err := net.Dial("tcp", p.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	raw := "POST /charges HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k1\r\nContent-Length: 2\r\nAuthorization: Bearer " +
		i.Token(jwttest.Claims{"exp": time.Now().Add(time.Second).Unix()}) + "\r\n\r\n{}"
	ask := func() (int, string) {
		if _, err := io.WriteString(conn, raw); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, resp.Header.Get("Idempotency-Status")
	}
	if code, status := ask(); code != http.StatusCreated || status != "executed" {
		t.Fatalf("got %d %s, want it executed", code, status)
	}
	eventually(t, "the token is refused", func() bool {
		code, status := ask()
		if code != http.StatusUnauthorized && status != "replayed" {
			t.Fatalf("got %d %s, want a replay or a refusal", code, status)
		}
		return code == http.StatusUnauthorized
	})
	for range 3 {
		if code, _ := ask(); code != http.StatusUnauthorized {
			t.Errorf("got %d after the token expired", code)
		}
	}
}

// A reload that does not touch jwt neither reads the keys again nor forgets a token. One that cannot have its keys is none.
func TestReloadKeepsKeys(t *testing.T) {
	t.Parallel()
	up, i := newLedger(t), jwttest.New(t)
	p, file := withTokens(t, up, i)
	c, token := p.from("127.0.0.1"), "Authorization: Bearer "+i.Token(nil)
	c.post("/charges", "k1", token).want(t, "before", http.StatusCreated, "executed")
	good := "upstream: " + up.URL + "\nstore: \"memory:\"\n" + i.Section() + "defaults:\n  retention: 2h\n  scope: { principal: [jwt:sub] }\n"
	write(t, file, good)
	p.signal(syscall.SIGHUP)
	p.await("configuration reloaded")
	c.post("/charges", "k1", token).want(t, "after", http.StatusCreated, "replayed")
	if n := i.Reads(); n != 1 {
		t.Errorf("the keys were read %d times, want 1", n)
	}
	write(t, file, strings.Replace(good, i.URL, "http://127.0.0.1:1/none", 1))
	p.signal(syscall.SIGHUP)
	if line := p.await("configuration not reloaded, the old one stays in force"); !strings.Contains(fmt.Sprint(line["err"]), i.Name) {
		t.Errorf("got %v, want it to name the issuer", line["err"])
	}
	c.post("/charges", "k1", token).want(t, "after a bad reload", http.StatusCreated, "replayed")
	write(t, file, strings.Replace(good, "jwt:\n", "jwt:\n  leeway: 1m\n", 1))
	p.signal(syscall.SIGHUP)
	eventually(t, "the keys are read again", func() bool { return i.Reads() == 2 })
	c.post("/charges", "k1", token).want(t, "after a change of jwt", http.StatusCreated, "replayed")
}

func TestStartNeedsTheKeys(t *testing.T) {
	t.Parallel()
	i := jwttest.New(t)
	text := "upstream: http://127.0.0.1:1\nstore: \"memory:\"\n" + strings.Replace(i.Section(), i.URL, "http://127.0.0.1:1/none", 1)
	p := launch(t, "proxy", "--config", write(t, "refrain.yaml", text))
	if status := p.wait(); status != statusFault || !strings.Contains(p.log.String(), i.Name) {
		t.Errorf("got status %d and\n%s\nwant %d and the issuer", status, p.log.String(), statusFault)
	}
}

// trusting starts a proxy that trusts another one at 127.0.0.2, with such principals.
func trusting(t *testing.T, up *ledger, principal string) *process {
	t.Helper()
	return start(t, "--config", write(t, "refrain.yaml", "upstream: "+up.URL+`
store: "memory:"
trusted_proxies: [127.0.0.2]
defaults:
  scope: { principal: `+principal+` }
`))
}

// A header names a principal only if it comes from a proxy that is trusted to set it.
func TestTrustedHeaders(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	p := trusting(t, up, "trusted:X-User")
	proxy, client := p.from("127.0.0.2"), p.from("127.0.0.3")
	proxy.post("/charges", "k1", "X-User: alice").want(t, "alice", http.StatusCreated, "executed")
	proxy.post("/charges", "k1", "X-User: alice").want(t, "alice again", http.StatusCreated, "replayed")
	proxy.post("/charges", "k1", "X-User: bob").want(t, "bob", http.StatusCreated, "executed")
	client.post("/charges", "k1", "X-User: alice").want(t, "who only says that he is alice", http.StatusCreated, "executed")
	client.post("/charges", "k1", "X-User: bob").want(t, "who only says that he is bob", http.StatusUnprocessableEntity, "mismatch")
	client.post("/charges", "k1", "X-User: alice", "X-Forwarded-For: 127.0.0.2").want(t, "a forged path", http.StatusCreated, "replayed")
	proxy.post("/charges", "k1", "X-User: bob", "X-User: alice").want(t, "two users", http.StatusForbidden, "")
	if n := up.counts()["k1"]; n != 3 {
		t.Errorf("got %d executions, want 3", n)
	}
	find := []string{"find", "POST", "/charges", "-H", "Idempotency-Key: k1", "-H", "X-User: alice"}
	if status, stdout, stderr := p.ops(find...); status != statusFault || !strings.Contains(stderr, "--from") {
		t.Errorf("find without the proxy's address: got %d %s%s, want that it is needed", status, stdout, stderr)
	}
	var alice, stranger found
	p.mustOps(&alice, append(find, "--from", "127.0.0.2")...)
	p.mustOps(&stranger, append(find, "--from", "127.0.0.3")...)
	if alice.State != "done" || stranger.State != "done" || alice.ID == stranger.ID {
		t.Errorf("got %+v and %+v, want two operations", alice, stranger)
	}
}

// An address is a principal of its own, and the log says what that is worth.
func TestClientAddresses(t *testing.T) {
	t.Parallel()
	up := newLedger(t)
	p := trusting(t, up, "client-ip")
	if line := p.log.String(); !strings.Contains(line, "client-ip is an address, not a caller") || !strings.Contains(line, "refrain.yaml:5:") {
		t.Errorf("got log\n%s\nwant a warning", line)
	}
	proxy, client := p.from("127.0.0.2"), p.from("127.0.0.3")
	client.post("/charges", "k1").want(t, "a client", http.StatusCreated, "executed")
	proxy.post("/charges", "k1").want(t, "another", http.StatusCreated, "executed")
	proxy.post("/charges", "k1", "X-Forwarded-For: 127.0.0.3").want(t, "the first through a proxy", http.StatusCreated, "replayed")
	client.post("/charges", "k1", "X-Forwarded-For: 127.0.0.2").want(t, "who says to be another", http.StatusCreated, "replayed")
	proxy.post("/charges", "k1", "X-Forwarded-For: nonsense").want(t, "nobody", http.StatusForbidden, "")
	if n := up.counts()["k1"]; n != 2 {
		t.Errorf("got %d executions, want 2", n)
	}
}

// What principals rest on is looked at before the proxy starts: keys and certificates as well as what is weak.
func TestCheckTellsWhatPrincipalsRestOn(t *testing.T) {
	t.Parallel()
	i := jwttest.New(t)
	const weak = "routes:\n  - match: POST /public\n    scope: { principal: [jwt:sub, client-ip] }\n"
	for text, want := range map[string]struct {
		status int
		lines  []string
	}{
		i.Section() + weak: {statusGood, []string{"ok     tokens         keys of 1 issuer read", "warn   configuration  "}},
		strings.Replace(i.Section(), i.URL, "./none.json", 1): {statusFault, []string{"FAULT  tokens         jwt: no token of issuer"}},
		"tls: { certificate: ./none.pem, key: ./none.pem }\n": {statusFault, []string{"FAULT  encryption     tls: open ./none.pem"}},
	} {
		got := command("check", "--config", write(t, "refrain.yaml", text), "--store", "memory:")
		for _, line := range want.lines {
			if got.status != want.status || !strings.Contains(got.stdout, line) {
				t.Errorf("%s\ngot status %d and\n%s\nwant %d and %q", text, got.status, got.stdout, want.status, line)
			}
		}
	}
}

// Who cannot be told apart gets no cookies, and the start says so with the line.
func TestStartRefusesCookiesForEveryone(t *testing.T) {
	t.Parallel()
	for _, principal := range []string{"none", "client-ip"} {
		file := write(t, "refrain.yaml", "upstream: http://127.0.0.1:1\nroutes:\n  - match: POST /login\n    scope: { principal: "+principal+
			" }\n    replay: { headers: [Set-Cookie] }\n")
		want := file + ":5:24: routes[0].replay.headers: has Set-Cookie, but scope.principal is " + principal
		for _, name := range []string{"proxy", "check"} {
			got := command(name, "--config", file)
			if said := got.stdout + got.stderr; got.status != statusFault || !strings.Contains(said, want) {
				t.Errorf("%s: got status %d and\n%s\nwant %s", name, got.status, said, want)
			}
		}
	}
}
