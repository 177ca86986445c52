package main

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A consumer takes webhooks, and fails as often as it is told to.
type consumer struct {
	*httptest.Server
	handled, failures atomic.Int64
}

func newConsumer(t *testing.T) *consumer {
	t.Helper()
	c := &consumer{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if c.failures.Add(-1) >= 0 {
			http.Error(w, "not now", http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "handled %d", c.handled.Add(1))
	}))
	t.Cleanup(c.Close)
	return c
}

// A delivery is one attempt of a sender.
type delivery struct {
	path, body string
	header     http.Header
}

func (p *process) deliver(t *testing.T, d delivery) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.listen+d.path, strings.NewReader(d.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = d.header.Clone()
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func mac(secret, text string) []byte { return macBy(sha256.New, secret, text) }

func macBy(algorithm func() hash.Hash, secret, text string) []byte {
	h := hmac.New(algorithm, []byte(secret))
	_, _ = io.WriteString(h, text)
	return h.Sum(nil)
}

// senders sign a body at a time, as their own documentation says.
func senders() map[string]func(secret, id, body string, at time.Time) delivery {
	return map[string]func(secret, id, body string, at time.Time) delivery{
		"github": func(secret, id, body string, _ time.Time) delivery {
			return delivery{"/github", body, http.Header{
				"X-Github-Delivery": {id}, "X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac(secret, body))},
			}}
		},
		"shopify": func(secret, id, body string, _ time.Time) delivery {
			return delivery{"/shopify", body, http.Header{
				"X-Shopify-Webhook-Id": {id}, "X-Shopify-Hmac-Sha256": {base64.StdEncoding.EncodeToString(mac(secret, body))},
			}}
		},
		"slack": func(secret, id, body string, at time.Time) delivery {
			body = fmt.Sprintf(`{"event_id":%q,"event":%q}`, id, body)
			ts := fmt.Sprint(at.Unix())
			return delivery{"/slack", body, http.Header{
				"X-Slack-Request-Timestamp": {ts},
				"X-Slack-Signature":         {"v0=" + hex.EncodeToString(mac(secret, "v0:"+ts+":"+body))},
			}}
		},
		"stripe-events": func(secret, id, body string, at time.Time) delivery {
			body = fmt.Sprintf(`{"id":%q,"data":%q}`, id, body)
			ts := fmt.Sprint(at.Unix())
			return delivery{"/stripe-events", body, http.Header{
				"Stripe-Signature": {"t=" + ts + ",v1=" + hex.EncodeToString(mac(secret, ts+"."+body))},
			}}
		},
		"standard-webhooks": func(secret, id, body string, at time.Time) delivery {
			ts := fmt.Sprint(at.Unix())
			return delivery{"/standard-webhooks", body, http.Header{
				"Webhook-Id": {id}, "Webhook-Timestamp": {ts},
				"Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac(secret, id+"."+ts+"."+body))},
			}}
		},
		"twilio": func(secret, id, body string, _ time.Time) delivery {
			url := twilioURL + "/twilio?bodySHA256=" + hex.EncodeToString(sum256("from="+body))
			return delivery{strings.TrimPrefix(url, twilioURL), "from=" + body, http.Header{
				"I-Twilio-Idempotency-Token": {id},
				"X-Twilio-Signature":         {base64.StdEncoding.EncodeToString(macBy(sha1.New, secret, url))},
			}}
		},
		"twilio-form": func(secret, id, body string, _ time.Time) delivery {
			return delivery{"/twilio-form", "To=%2B1&From=" + body, http.Header{
				"I-Twilio-Idempotency-Token": {id}, "Content-Type": {"application/x-www-form-urlencoded"},
				"X-Twilio-Signature": {base64.StdEncoding.EncodeToString(macBy(sha1.New, secret, twilioURL+"/twilio-formFrom"+body+"To+1"))},
			}}
		},
		"hmac": func(secret, id, body string, _ time.Time) delivery {
			return delivery{"/hmac", body, http.Header{
				"X-Delivery":      {id},
				"X-Our-Signature": {"v=" + base64.StdEncoding.EncodeToString(macBy(sha512.New, secret, body))},
			}}
		},
	}
}

// twilioURL is where Twilio reaches the proxy from outside.
const twilioURL = "https://hooks.example.com"

func sum256(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// more is what the file says of a sender besides its dialect and its secrets.
func more(sender string) (dialect, fields string) {
	switch sender {
	case "twilio", "twilio-form":
		return "twilio", ", url: \"" + twilioURL + "\""
	case "hmac":
		return "ours", ", scheme: hmac, header: X-Our-Signature, hash: sha512, encoding: base64, prefix: v="
	}
	return sender, ""
}

const (
	oldSecret = "the-secret-before-the-rotation-of-it"
	newSecret = "the-secret-that-came-with-the-rotation"
)

// inbox writes a file with a route for each sender, whose secrets are in files.
func inbox(t *testing.T, upstream string) string {
	t.Helper()
	text := "upstream: " + upstream + "\ndialects: { ours: { extends: github, key: { from: \"header:X-Delivery\" } } }\nroutes:\n"
	for name := range senders() {
		first, second := oldSecret, newSecret
		if name == "standard-webhooks" {
			first = "whsec_" + base64.StdEncoding.EncodeToString([]byte(first))
			second = "whsec_" + base64.StdEncoding.EncodeToString([]byte(second))
		}
		a, b := write(t, name+".old", first+"\n"), write(t, name+".new", second+"\n")
		dialect, fields := more(name)
		text += fmt.Sprintf("  - match: POST /%s\n    dialect: %s\n    verify: { secrets: [\"file:%s\", \"file:%s\"]%s }\n", name, dialect, a, b, fields)
	}
	return write(t, "refrain.yaml", text)
}

func TestWebhooksAreHandledOnce(t *testing.T) {
	t.Parallel()
	for name, sign := range senders() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newConsumer(t)
			p := start(t, "--config", inbox(t, api.URL), "--store", "memory:", "--log-level", "debug")
			now := time.Now()

			for what, d := range map[string]delivery{
				"with another secret": sign("a-secret-that-nobody-gave-us-ever", "evt_1", "x", now),
				"with another body":   tampered(sign(newSecret, "evt_1", "x", now)),
				"unsigned":            unsigned(sign(newSecret, "evt_1", "x", now)),
				"on a detour":         detoured(unsigned(sign(newSecret, "evt_1", "x", now))),
			} {
				if status, body := p.deliver(t, d); status != http.StatusUnauthorized || strings.Contains(body, "mismatch") {
					t.Errorf("%s: got %d %s, want 401 and no reason", what, status, body)
				}
			}
			if n := p.metric(`refrain_verdicts_total{verdict="run"}`); n != "0" {
				t.Errorf("%s claims for forged deliveries, want none", n)
			}

			api.failures.Store(1)
			if status, _ := p.deliver(t, sign(newSecret, "evt_1", "x", now)); status != http.StatusInternalServerError {
				t.Errorf("got %d, want the consumer's failure passed on", status)
			}
			for i, secret := range []string{newSecret, oldSecret, newSecret} { // the sender stamps and signs each anew
				status, body := p.deliver(t, sign(secret, "evt_1", "x", now.Add(time.Duration(i)*time.Second)))
				if status != http.StatusOK || body != "handled 1" {
					t.Errorf("attempt %d: got %d %s, want the first success", i, status, body)
				}
			}
			if status, body := p.deliver(t, sign(newSecret, "evt_2", "x", now)); status != http.StatusOK || body != "handled 2" {
				t.Errorf("another event: got %d %s", status, body)
			}

			stale := sign(newSecret, "evt_3", "x", now.Add(-10*time.Minute))
			status, _ := p.deliver(t, stale)
			if timed := name == "slack" || name == "stripe-events" || name == "standard-webhooks"; timed != (status == http.StatusUnauthorized) {
				t.Errorf("a delivery signed ten minutes ago got %d", status)
			}

			p.signal(syscall.SIGTERM)
			p.wait()
			log := p.log.String()
			if !strings.Contains(log, "signature mismatch") {
				t.Error("the log does not say what was wrong with a signature")
			}
			for _, secret := range []string{oldSecret, newSecret, base64.StdEncoding.EncodeToString([]byte(newSecret)), "evt_1"} {
				if strings.Contains(log, secret) {
					t.Errorf("the log tells %q", secret)
				}
			}
		})
	}
}

// detoured is a delivery by a way that the API behind may take for the same.
func detoured(d delivery) delivery {
	path, query, _ := strings.Cut(d.path, "?")
	d.path = "/index.php" + strings.ToUpper(path) + "/?" + query
	return d
}

func tampered(d delivery) delivery {
	at := strings.LastIndexByte(d.body, 'x')
	d.body = d.body[:at] + "y" + d.body[at+1:]
	return d
}

func unsigned(d delivery) delivery {
	h := d.header.Clone()
	for name := range h {
		if strings.Contains(name, "Signature") || strings.Contains(name, "Hmac") {
			h.Del(name)
		}
	}
	d.header = h
	return d
}

// TestSecretsAreReadAtReload: a secret that is gone leaves the old configuration in force.
func TestSecretsAreReadAtReload(t *testing.T) {
	t.Parallel()
	api := newConsumer(t)
	secret := write(t, "secret", oldSecret)
	file := write(t, "refrain.yaml", "upstream: "+api.URL+"\nroutes:\n  - match: POST /github\n    dialect: github\n"+
		"    verify: { secrets: \"file:"+secret+"\" }\n")
	p := start(t, "--config", file, "--store", "memory:")
	github := senders()["github"]

	write(t, secret, newSecret)
	p.signal(syscall.SIGHUP)
	p.await("configuration reloaded")
	if status, _ := p.deliver(t, github(oldSecret, "1", "x", time.Now())); status != http.StatusUnauthorized {
		t.Errorf("the old secret got %d after the reload, want 401", status)
	}
	if status, _ := p.deliver(t, github(newSecret, "1", "x", time.Now())); status != http.StatusOK {
		t.Errorf("the new secret got %d after the reload, want 200", status)
	}

	write(t, secret, "\n")
	p.signal(syscall.SIGHUP)
	line := p.await("configuration not reloaded, the old one stays in force")
	if err := fmt.Sprint(line["err"]); !strings.Contains(err, file+":5:") || strings.Contains(err, newSecret) {
		t.Errorf("got %q, want it to name the line", err)
	}
	if status, _ := p.deliver(t, github(newSecret, "2", "x", time.Now())); status != http.StatusOK {
		t.Errorf("got %d, want the old configuration in force", status)
	}
}

func TestCheckWarnsOfOpenInboxes(t *testing.T) {
	t.Parallel()
	file := write(t, "refrain.yaml", "upstream: http://127.0.0.1:1\nroutes:\n  - match: POST /hooks\n    dialect: github\n")
	r := command("check", "--config", file, "--store", "memory:")
	if r.status != 0 || !strings.Contains(r.stdout, "POST /hooks: takes webhooks from anyone") {
		t.Errorf("got %d %s, want a warning", r.status, r.stdout)
	}
}
