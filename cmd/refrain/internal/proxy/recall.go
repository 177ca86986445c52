package proxy

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"strings"
	"sync"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// A Memory answers duplicates on their connection, before the HTTP server sees them: a retry storm of one operation then
// costs a read, a look into memory and a write each. Anything out of the ordinary is left to the server.
//
// It belongs to one configuration. It may be used concurrently.
type Memory struct {
	recall  refrainhttp.Recaller
	repeats *repeats
	replies sync.Pool // of *reply
}

// NewMemory returns a Memory of what the middleware's handler recalls.
func NewMemory(recall refrainhttp.Recaller) *Memory {
	m := &Memory{recall: recall, repeats: newRepeats(repeatMemory)}
	m.replies.New = func() any { return newReply() }
	return m
}

// answer returns the whole answer to what b holds, if that is just one request and it is answered from memory. Nothing but b
// tells what the request is: an answer that depended on more could not be repeated.
func (m *Memory) answer(b []byte) (*reply, bool) {
	r := m.replies.Get().(*reply)
	digest := sha256.Sum256(b)
	if known := m.repeats.find(&digest); known != nil {
		if known.again() {
			r.repeat(known)
			return r, true
		}
		m.repeats.drop(&digest)
	}
	again, ok := m.ask(r, b)
	if !ok {
		m.done(r)
		return nil, false
	}
	r.render()
	if again != nil {
		m.repeats.keep(&digest, &repeat{again, len(b), bytes.Clone(r.wire), r.date})
	}
	return r, true
}

// ask has the middleware reply.
func (m *Memory) ask(r *reply, b []byte) (again func() bool, ok bool) {
	head, body, whole := bytes.Cut(b, []byte("\r\n\r\n"))
	if !whole || !m.recall.MayRecall(head) || !plainHead(head) {
		return nil, false
	}
	r.source.Reset(b)
	r.reader.Reset(&r.source)
	req, err := http.ReadRequest(r.reader)
	if err != nil || !ordinary(req) || req.ContentLength != int64(len(body)) {
		return nil, false
	}
	return m.recall.ServeRecalled(r, req, body)
}

// done takes back a reply that was sent.
func (m *Memory) done(r *reply) {
	if r.reset() {
		m.replies.Put(r)
	}
}

// plainHead reports whether nobody could read the head in another way: a request line of three parts, then lines that end in
// CRLF, each a name that is a token, a colon, and a value without control bytes; and one Host that is a plain name.
func plainHead(head []byte) bool {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	if bytes.Count(line, []byte(" ")) != 2 || hasControl(line) {
		return false
	}
	hosts := 0
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !isToken(name) || hasControl(value) {
			return false
		}
		if bytes.EqualFold(name, []byte("Host")) {
			if hosts++; !isPlainHost(bytes.TrimSpace(value)) {
				return false
			}
		}
	}
	return hosts == 1
}

func hasControl(b []byte) bool {
	return bytes.ContainsFunc(b, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}

func isToken(b []byte) bool {
	return len(b) > 0 && !bytes.ContainsFunc(b, func(c rune) bool { return !isAlphanumeric(c) && c != '-' && c != '_' })
}

func isPlainHost(b []byte) bool {
	return len(b) > 0 && !bytes.ContainsFunc(b, func(c rune) bool {
		return !isAlphanumeric(c) && c != '.' && c != '-' && c != ':' && c != '[' && c != ']'
	})
}

func isAlphanumeric(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// ordinary reports whether a request asks nothing of its connection.
func ordinary(r *http.Request) bool {
	for _, name := range [...]string{"Expect", "Upgrade", "Te", "Trailer"} {
		if len(r.Header[name]) > 0 {
			return false
		}
	}
	for _, v := range r.Header["Connection"] {
		if !strings.EqualFold(v, "keep-alive") {
			return false
		}
	}
	return r.ProtoMajor == 1 && r.ProtoMinor == 1 && r.Host != "" && r.URL.Host == "" && len(r.TransferEncoding) == 0
}
