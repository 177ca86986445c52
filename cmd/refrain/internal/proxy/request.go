package proxy

import (
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// hopByHop reports whether a field, by its canonical name, ends at an intermediary (RFC 9110, section 7.6.1).
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authorization":
		return true
	}
	return false
}

// rewritten reports whether the proxy writes a field itself.
func rewritten(name string) bool {
	switch name {
	case "Host", "Content-Length", "Accept-Encoding", "Expect", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
		"Forwarded": // one way of saying it is enough
		return true
	}
	return false
}

// mimics reports whether an upstream may take a field for one that the proxy writes: where fields become variables, as in PHP and
// other CGI, an underscore is as good as a hyphen.
func mimics(name string) bool {
	if strings.IndexByte(name, '_') < 0 {
		return false
	}
	name = textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
	return refrainhttp.IsOwn(name) || rewritten(name)
}

// appendRequest appends the request as the upstream gets it, to be sent in one piece. Its body is in memory.
func appendRequest(b []byte, r *http.Request, base *url.URL) ([]byte, error) {
	if r.ContentLength < 0 {
		body, err := io.ReadAll(r.Body)
		return append(appendHead(b, r, base, len(body)), body...), err
	}
	length := int(r.ContentLength)
	b = slices.Grow(appendHead(b, r, base, length), length)
	body := b[len(b) : len(b)+length]
	_, err := io.ReadFull(r.Body, body)
	return b[:len(b)+length], err
}

// appendHead appends the head of the request as the upstream gets it.
//
// It asks for no content coding: the client of a replay may not understand the one that the first client accepted.
func appendHead(b []byte, r *http.Request, base *url.URL, length int) []byte {
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, target(base, r.URL)...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = appendField(b, "Host", r.Host)
	named := connectionNames(r.Header)
	for name, values := range r.Header {
		if hopByHop(name) || rewritten(name) || named[name] || mimics(name) {
			continue
		}
		for _, v := range values {
			b = appendField(b, name, v)
		}
	}
	f := forwarding(r)
	b = appendField(b, "X-Forwarded-For", f.path)
	b = appendField(b, "X-Forwarded-Host", f.host)
	b = appendField(b, "X-Forwarded-Proto", f.proto)
	b = append(b, "Accept-Encoding: identity\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(length), 10)
	return append(b, "\r\n\r\n"...)
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...) // the server that parsed it refuses line breaks
	return append(b, "\r\n"...)
}

// connectionNames returns the canonical names of the fields that Connection declares hop-by-hop, but for the
// Idempotency-Key and what goes with it: a client cannot have the protection stripped on the way.
func connectionNames(h http.Header) map[string]bool {
	values := h["Connection"]
	if len(values) == 0 {
		return nil
	}
	named := make(map[string]bool)
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			name = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name))
			if !strings.HasPrefix(name, "Idempotency-") {
				named[name] = true
			}
		}
	}
	return named
}

// target returns the request target at the upstream.
func target(base, u *url.URL) string {
	path := u.EscapedPath()
	if prefix := strings.TrimSuffix(base.EscapedPath(), "/"); prefix != "" {
		path = prefix + "/" + strings.TrimPrefix(path, "/")
	}
	if path == "" {
		path = "/"
	}
	if u.RawQuery != "" || u.ForceQuery {
		path += "?" + u.RawQuery
	}
	return path
}
