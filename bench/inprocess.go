package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// netHTTP calls a handler of net/http as its server would, without the network.
func netHTTP(ctx context.Context, h http.Handler) inProcess {
	w := memoryWriter{header: make(http.Header)}
	key := make([]byte, 36)
	return func(n uint64) error {
		uuid(key, n)
		w.reset()
		h.ServeHTTP(&w, newServerRequest(http.Header{"Idempotency-Key": {string(key)}}, body).WithContext(ctx))
		return check(w.status, w.body)
	}
}

// newServerRequest returns a request as net/http's server would make it.
func newServerRequest(h http.Header, body string) *http.Request {
	h["Content-Type"] = []string{"application/json"}
	h["Authorization"] = []string{"Bearer bench"}
	return &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: "/charges"}, RequestURI: "/charges", Host: "bench",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: "127.0.0.1:1",
		Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// A memoryWriter keeps an answer.
type memoryWriter struct {
	header http.Header
	status int
	body   []byte
}

func (w *memoryWriter) reset() {
	clear(w.header)
	w.status, w.body = 0, w.body[:0]
}

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) WriteHeader(status int) { w.status = status }

func (w *memoryWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.body = append(w.body, b...)
	return len(b), nil
}

// WriteString implements io.StringWriter, as the writers of net/http's server do.
func (w *memoryWriter) WriteString(s string) (int, error) { //nolint:unparam // the interface has it
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.body = append(w.body, s...)
	return len(s), nil
}

func (w *memoryWriter) Flush() {}
