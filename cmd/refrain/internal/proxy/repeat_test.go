package proxy

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// ask has the memory answer, and returns the answer but for its date, or nothing.
func ask(m *Memory, request []byte) string {
	r, ok := m.answer(request)
	if !ok {
		return ""
	}
	defer m.done(r)
	return string(r.wire[:r.date]) + string(r.wire[r.date+29:])
}

// charge returns a request as it is sent.
func charge(principal, key, body string) []byte {
	return fmt.Appendf(nil, "POST /charges HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", principal, key, len(body), body)
}

func TestOnlyTheSameBytesAreRepeated(t *testing.T) {
	t.Parallel()
	tw := newTwin(t)
	request := charge("anna", "k", `{"a":1}`)
	exchange(t, tw.plain, string(request))
	want := ask(tw.memory, request)
	if got := ask(tw.memory, bytes.Clone(request)); got != want || tw.repeated.Load() != 1 {
		t.Fatalf("got %q with %d repeated, want %q again without parsing", got, tw.repeated.Load(), want)
	}
	for i := range request {
		for _, flip := range []byte{1, 0x20, 0x80} {
			other := bytes.Clone(request)
			other[i] ^= flip
			ask(tw.memory, other)
		}
		ask(tw.memory, request[:i])
	}
	ask(tw.memory, append(bytes.Clone(request), request...)) // two at once
	if n := tw.repeated.Load(); n != 1 {
		t.Errorf("%d other requests were given the answer without a look at them", n-1)
	}
	if got := ask(tw.memory, request); got != want || tw.repeated.Load() != 2 {
		t.Errorf("got %q with %d repeated, want %q still", got, tw.repeated.Load(), want)
	}
}

func TestPrincipalsAreRepeatedApart(t *testing.T) {
	t.Parallel()
	tw := newTwin(t)
	for range 3 {
		for _, who := range []string{"anna", "otto"} {
			body := fmt.Sprintf(`{"for":%q}`, who)
			request := charge(who, "k", body)
			exchange(t, tw.plain, string(request))
			if got := ask(tw.memory, request); !strings.HasSuffix(got, body) {
				t.Errorf("%s got %q", who, got)
			}
		}
	}
	if tw.repeated.Load() != 4 {
		t.Errorf("got %d repeated, want 4", tw.repeated.Load())
	}
}

// Whatever the order in which requests come, one that the memory may answer gets what the server alone would have said.
func TestRepeatedAnswersAreTheServers(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	tw, alone := newTwin(t), newTwin(t)
	expires := regexp.MustCompile("Idempotency-Expires: [^\n]*") // by the clock of each
	for range 2000 {
		request := string(charge(
			[]string{"anna", "otto"}[random.IntN(2)],
			[]string{"k1", "k2", `"k2"`, "k,3"}[random.IntN(4)],
			[]string{`{"a":1}`, `{ "a": 1 }`, `{"a":2}`, ""}[random.IntN(4)]))
		got := expires.ReplaceAllString(exchange(t, tw.fast, request), "")
		want := expires.ReplaceAllString(exchange(t, alone.plain, request), "")
		if got != want {
			t.Fatalf("%q: got\n%s\nwant\n%s", request, got, want)
		}
	}
	if n := tw.repeated.Load(); n < 100 {
		t.Errorf("only %d answers were repeated", n)
	}
}

func TestWhatIsForgottenIsNotRepeated(t *testing.T) {
	t.Parallel()
	c := newRepeats(1 << 20)
	m := &Memory{recall: refusing{}, repeats: c}
	m.replies.New = func() any { return newReply() }
	request, valid := charge("anna", "k", "{}"), true
	digest := sha256.Sum256(request)
	c.keep(&digest, &repeat{again: func() bool { return valid }, answer: make([]byte, 100), date: 50})
	if _, ok := m.answer(request); !ok {
		t.Fatal("a known answer is not repeated")
	}
	valid = false
	if _, ok := m.answer(request); ok {
		t.Error("an answer is repeated that does not hold any more")
	}
	if c.find(&digest) != nil {
		t.Error("an answer that does not hold any more is kept")
	}
}

func TestRepeatsAreBounded(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	c := newRepeats(limit)
	var digest [sha256.Size]byte
	for i := range uint64(20_000) {
		binary.LittleEndian.PutUint64(digest[:], i)
		r := &repeat{request: int(i % 300), answer: make([]byte, i%1000)}
		c.keep(&digest, r)
		c.keep(&digest, r) // as two connections do at the same time
		if c.find(&digest) != r {
			t.Fatalf("the newest answer, the %dth, is not kept", i)
		}
	}
	digest[31] = 1
	c.keep(&digest, &repeat{answer: make([]byte, limit/8)})
	if c.find(&digest) != nil {
		t.Error("one answer takes most of the room")
	}
	total := 0
	for i := range c.shards {
		sh, sum := &c.shards[i], 0
		for _, r := range sh.byDigest {
			sum += r.size()
		}
		if sum != sh.bytes {
			t.Errorf("shard %d holds %d bytes and counts %d", i, sum, sh.bytes)
		}
		total += sum
	}
	if total > limit || total < limit*3/4 {
		t.Errorf("it holds %d bytes, want at most %d and not much less", total, limit)
	}
}
