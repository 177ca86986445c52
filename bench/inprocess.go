package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
)

// netHTTP calls a handler of net/http as its server would, without the network.
func netHTTP(ctx context.Context, h http.Handler) inProcess {
	w := memoryWriter{header: make(http.Header)}
	key := make([]byte, 36)
	return func(n uint64) error {
		uuid(key, n)
		w.reset()
		r := &http.Request{
			Method: http.MethodPost, URL: &url.URL{Path: "/charges"}, RequestURI: "/charges", Host: "bench",
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: "127.0.0.1:1",
			Header: http.Header{
				"Content-Type":    {"application/json"},
				"Authorization":   {"Bearer bench"},
				"Idempotency-Key": {string(key)},
			},
			Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body)),
		}
		h.ServeHTTP(&w, r.WithContext(ctx))
		return check(w.status, w.body)
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

func (w *memoryWriter) Flush() {}
