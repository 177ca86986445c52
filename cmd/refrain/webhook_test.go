package main

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Twilio signs with
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A consumer counts the events that reach it, by their path and body, and answers as it is told.
type consumer struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	runs   map[string]int
}

func newConsumer(t *testing.T) *consumer {
	t.Helper()
	c := &consumer{status: http.StatusOK, runs: map[string]int{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.runs[r.URL.Path]++
		w.WriteHeader(c.status)
		fmt.Fprintf(w, "handled %d", c.runs[r.URL.Path])
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *consumer) answer(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

func (c *consumer) ran(path string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.runs[path]
}

// A sender delivers events to the path of its name, signed as its documentation says.
type sender struct {
	name   string
	verify string // besides the secrets
	secret func(n int) string
	timed  bool
	// event returns the body of an event, and sign signs it.
	event func(id string) string
	sign  func(h http.Header, d delivery)
}

// A delivery is an event on its way.
type delivery struct {
	id, body, secret string
	at               time.Time
}

func mac(newHash func() hash.Hash, key string, parts ...string) []byte {
	h := hmac.New(newHash, []byte(key))
	for _, p := range parts {
		_, _ = io.WriteString(h, p)
	}
	return h.Sum(nil)
}

func plain(n int) string { return fmt.Sprintf("secret-%d-hunter2", n) }

func standardSecret(n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(plain(n)))
}

func constant(string) string { return `{"a":1}` }

// senders returns all of them.
func senders() []sender {
	return []sender{
		{name: "standard-webhooks", verify: "scheme: standard-webhooks", secret: standardSecret, timed: true, event: constant, sign: signStandard},
		{name: "github", verify: "scheme: github", secret: plain, event: constant, sign: func(h http.Header, d delivery) {
			h.Set("X-Github-Delivery", d.id)
			h.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac(sha256.New, d.secret, d.body)))
		}},
		{name: "shopify", verify: "scheme: shopify", secret: plain, event: constant, sign: func(h http.Header, d delivery) {
			h.Set("X-Shopify-Webhook-Id", d.id)
			h.Set("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(mac(sha256.New, d.secret, d.body)))
		}},
		{
			name: "slack", verify: "scheme: slack, tolerance: 5m", secret: plain, timed: true,
			event: func(id string) string { return `{"event_id":"` + id + `"}` },
			sign: func(h http.Header, d delivery) {
				at := strconv.FormatInt(d.at.Unix(), 10)
				h.Set("X-Slack-Request-Timestamp", at)
				h.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac(sha256.New, d.secret, "v0:", at, ":", d.body)))
			},
		},
		{
			name: "twilio", verify: `scheme: twilio, url: "https://hooks.example.com"`, secret: plain,
			event: func(string) string { return "From=%2B4912&Body=hello" },
			sign: func(h http.Header, d delivery) {
				const form = "https://hooks.example.com/twilio" + "Bodyhello" + "From+4912"
				h.Set("Content-Type", "application/x-www-form-urlencoded")
				h.Set("I-Twilio-Idempotency-Token", d.id)
				h.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac(sha1.New, d.secret, form)))
			},
		},
		{
			name: "stripe-events", verify: "scheme: stripe", secret: plain, timed: true,
			event: func(id string) string { return `{"id":"` + id + `","type":"charge.succeeded"}` },
			sign: func(h http.Header, d delivery) {
				at := strconv.FormatInt(d.at.Unix(), 10)
				h.Set("Stripe-Signature", "t="+at+",v1="+hex.EncodeToString(mac(sha256.New, d.secret, at, ".", d.body)))
			},
		},
		{
			name: "cloudevents", verify: `scheme: hmac, header: X-Sig, hash: sha1, prefix: "sha1="`, secret: plain, event: constant,
			sign: func(h http.Header, d delivery) {
				h.Set("Ce-Source", "/orders")
				h.Set("Ce-Id", d.id)
				h.Set("X-Sig", "sha1="+hex.EncodeToString(mac(sha1.New, d.secret, d.body)))
			},
		},
	}
}

func signStandard(h http.Header, d delivery) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(d.secret, "whsec_"))
	if err != nil {
		panic(err)
	}
	at := strconv.FormatInt(d.at.Unix(), 10)
	h.Set("Webhook-Id", d.id)
	h.Set("Webhook-Timestamp", at)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac(sha256.New, string(key), d.id, ".", at, ".", d.body)))
}

// An inbox is a proxy in front of a consumer, with a route for each sender, which has two secrets: 1 and 2.
type inbox struct {
	*process
	consumer *consumer
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	in := &inbox{consumer: newConsumer(t)}
	dir := t.TempDir()
	file := "upstream: " + in.consumer.URL + "\nroutes:\n"
	for _, s := range senders() {
		for n := 1; n <= 2; n++ {
			write(t, filepath.Join(dir, fmt.Sprint(s.name, n)), s.secret(n)+"\n")
		}
		file += fmt.Sprintf("  - match: POST /%[1]s\n    dialect: %[1]s\n    verify: { %[2]s, secrets: [file:%[3]s/%[1]s1, file:%[3]s/%[1]s2] }\n",
			s.name, s.verify, dir)
	}
	in.process = start(t, "--config", write(t, "refrain.yaml", file), "--store", "pebble:"+t.TempDir(), "--log-level", "debug")
	return in
}

// deliver sends an event, with the body in the place of the signed one if it is not empty.
func (in *inbox) deliver(s sender, d delivery, instead string) (*http.Response, string) {
	in.t.Helper()
	d.body = s.event(d.id)
	body := d.body
	if instead != "" {
		body = instead
	}
	r, err := http.NewRequest(http.MethodPost, "http://"+in.listen+"/"+s.name, strings.NewReader(body))
	if err != nil {
		in.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	s.sign(r.Header, d)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		in.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		in.t.Fatal(err)
	}
	return resp, string(text)
}

func (in *inbox) refused(s sender, what string, resp *http.Response, body string) {
	in.t.Helper()
	if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `"code":"signature-invalid"`) || strings.Contains(body, "hunter2") {
		in.t.Errorf("%s, %s: got %d %s, want 401 signature-invalid", s.name, what, resp.StatusCode, body)
	}
}

func (in *inbox) accepted(s sender, what string, resp *http.Response, body, status, want string) {
	in.t.Helper()
	if got := resp.Header.Get("Idempotency-Status"); resp.StatusCode != http.StatusOK || got != status || body != want {
		in.t.Errorf("%s, %s: got %d %s %q, want 200 %s %q", s.name, what, resp.StatusCode, got, body, status, want)
	}
}

const claimCalls = `refrain_store_call_duration_seconds_count{call="claim"}`

func TestForgedWebhooksTouchNothing(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	for _, s := range senders() {
		now := time.Now()
		resp, body := in.deliver(s, delivery{id: "evt_1", secret: s.secret(3), at: now}, "")
		in.refused(s, "another secret", resp, body)
		resp, body = in.deliver(s, delivery{id: "evt_1", secret: s.secret(1), at: now}, "Body=hello2&id=evt_1")
		in.refused(s, "another body", resp, body)
		resp, body = in.deliver(s, delivery{id: "evt_1", secret: s.secret(1), at: now.Add(-6 * time.Minute)}, "")
		if s.timed {
			in.refused(s, "replayed much later", resp, body)
		}
		if n := in.consumer.ran("/" + s.name); s.timed && n != 0 {
			t.Errorf("%s: the consumer got %d events, want none", s.name, n)
		}
	}
	// What the schemes without a timestamp let through are the only claims.
	untimed := 0
	for _, s := range senders() {
		if !s.timed {
			untimed++
		}
	}
	if got := in.metric(claimCalls); got != strconv.Itoa(untimed) {
		t.Errorf("the store got %s claims, want %d", got, untimed)
	}
	if line := in.await("request refused: its signature"); line["route"] != "POST /standard-webhooks" ||
		!strings.Contains(fmt.Sprint(line["err"]), "signature mismatch") {
		t.Errorf("got %v, want the route and what is wrong", line)
	}
	if strings.Contains(in.log.String(), "hunter2") {
		t.Error("the log has a secret")
	}
}

func TestWebhooksAreHandledOnce(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	for _, s := range senders() {
		now := time.Now()
		in.consumer.answer(http.StatusInternalServerError)
		if resp, body := in.deliver(s, delivery{id: "evt_1", secret: s.secret(1), at: now}, ""); resp.StatusCode != 500 || body != "handled 1" {
			t.Errorf("%s: got %d %q, want the consumer's failure", s.name, resp.StatusCode, body)
		}
		in.consumer.answer(http.StatusOK)
		resp, body := in.deliver(s, delivery{id: "evt_1", secret: s.secret(1), at: now.Add(time.Second)}, "")
		in.accepted(s, "a failed run runs again", resp, body, "executed", "handled 2")
		in.consumer.answer(http.StatusInternalServerError) // nobody asks it
		resp, body = in.deliver(s, delivery{id: "evt_1", secret: s.secret(2), at: now.Add(2 * time.Second)}, "")
		in.accepted(s, "a duplicate, signed with the other secret", resp, body, "replayed", "handled 2")
		resp, body = in.deliver(s, delivery{id: "evt_1", secret: s.secret(3), at: now}, "")
		in.refused(s, "a forged duplicate", resp, body)
		in.consumer.answer(http.StatusOK)
		resp, body = in.deliver(s, delivery{id: "evt_2", secret: s.secret(2), at: now}, "")
		in.accepted(s, "another event", resp, body, "executed", "handled 3")
	}
}

func TestSecretsAreReadAgainAtReload(t *testing.T) {
	t.Parallel()
	up := newConsumer(t)
	secret := filepath.Join(t.TempDir(), "github")
	write(t, secret, plain(1))
	file := write(t, "refrain.yaml", "upstream: "+up.URL+"\nroutes:\n  - match: POST /github\n    dialect: github\n"+
		"    verify: { scheme: github, secrets: [file:"+secret+"] }\n")
	in := &inbox{start(t, "--config", file, "--store", "memory:"), up}
	github := senders()[1]
	resp, body := in.deliver(github, delivery{id: "1", secret: plain(1)}, "")
	in.accepted(github, "the first secret", resp, body, "executed", "handled 1")

	write(t, secret, plain(2))
	in.signal(syscall.SIGHUP)
	in.await("configuration reloaded")
	resp, body = in.deliver(github, delivery{id: "2", secret: plain(1)}, "")
	in.refused(github, "the first secret, after the reload", resp, body)
	resp, body = in.deliver(github, delivery{id: "2", secret: plain(2)}, "")
	in.accepted(github, "the second secret", resp, body, "executed", "handled 2")

	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	in.signal(syscall.SIGHUP)
	line := in.await("configuration not reloaded, the old one stays in force")
	if err := fmt.Sprint(line["err"]); !strings.Contains(err, file+":5:") || !strings.Contains(err, "routes[0].verify.secrets[0]: reading a secret") {
		t.Errorf("got %q, want the line and what is wrong", err)
	}
	resp, body = in.deliver(github, delivery{id: "2", secret: plain(2)}, "")
	in.accepted(github, "the secret in force", resp, body, "replayed", "handled 2")
}

const unsetSecret = "upstream: http://127.0.0.1:1\nroutes:\n  - match: POST /github\n    dialect: github\n" +
	"    verify: { scheme: github, secrets: [env:REFRAIN_TEST_UNSET] }\n"

func TestMissingSecretsStopTheStart(t *testing.T) {
	t.Parallel()
	file := write(t, "refrain.yaml", unsetSecret)
	want := file + ":5:41: routes[0].verify.secrets[0]: the secret in env:REFRAIN_TEST_UNSET: the variable is not set"
	if got := command("proxy", "--config", file); got.status != statusFault || !strings.Contains(got.stderr, want) {
		t.Errorf("got status %d and %q, want %d and %q", got.status, got.stderr, statusFault, want)
	}
	if got := command("check", "--config", file, "--store", "memory:"); got.status != statusFault || !strings.Contains(got.stdout, want) {
		t.Errorf("check: got status %d and %q, want %d and %q", got.status, got.stdout, statusFault, want)
	}
	// Those who only ask what would be need no secrets.
	got := command("explain", "--config", file, "POST", "/github", "-H", "X-GitHub-Delivery: 1")
	for _, want := range []string{"verify.scheme", "verify.secrets", "[env:REFRAIN_TEST_UNSET]", file + ":5:23", "signature", "not judged"} {
		if got.status != statusGood || !strings.Contains(got.stdout, want) {
			t.Errorf("explain: got status %d and\n%s\nwant %q in it", got.status, got.stdout, want)
		}
	}
	if got := command("docs", "--config", file); got.status != statusGood || !strings.Contains(got.stdout, "`signature-invalid`") {
		t.Errorf("docs: got status %d and\n%s\nwant the refusal in it", got.status, got.stdout)
	}
}

func TestUnverifiedWebhooksAreWarnedOf(t *testing.T) {
	t.Parallel()
	file := write(t, "refrain.yaml", "upstream: http://127.0.0.1:1\nroutes:\n  - match: POST /github\n    dialect: github\n")
	const want = "dialect github without verify"
	if got := command("check", "--config", file, "--store", "memory:"); got.status != statusGood || !strings.Contains(got.stdout, want) {
		t.Errorf("got status %d and\n%s\nwant a warning", got.status, got.stdout)
	}
	p := start(t, "--config", file, "--store", "memory:")
	if line := p.await("configuration is likely a mistake"); !strings.Contains(fmt.Sprint(line["warning"]), want) {
		t.Errorf("got %v, want a warning", line)
	}
}
