package proxy

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// hopByHop are the fields that end at an intermediary (RFC 9110, section 7.6.1), by canonical name.
var hopByHop = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Te": true, "Trailer": true,
	"Transfer-Encoding": true, "Upgrade": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
}

// rewritten are the fields that the proxy writes itself.
var rewritten = map[string]bool{
	"Host": true, "Content-Length": true, "Accept-Encoding": true, "Expect": true,
	"X-Forwarded-For": true, "X-Forwarded-Host": true, "X-Forwarded-Proto": true,
	"Forwarded": true, // one way of saying it is enough
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
		if hopByHop[name] || rewritten[name] || named[name] {
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
