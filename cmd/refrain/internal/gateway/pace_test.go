package gateway

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A deadlineWriter notes the deadlines that are set for reading.
type deadlineWriter struct {
	http.ResponseWriter
	deadlines []time.Time
}

func (w *deadlineWriter) SetReadDeadline(t time.Time) error {
	w.deadlines = append(w.deadlines, t)
	return nil
}

func TestBodyThatKeepsComingGetsMoreTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		w := &deadlineWriter{ResponseWriter: httptest.NewRecorder()}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 2*paceStep)))
		paced(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			buf := make([]byte, paceStep)
			for range 2 {
				_, _ = io.ReadFull(r.Body, buf)
				time.Sleep(time.Second)
			}
			_, _ = r.Body.Read(buf)
		})).ServeHTTP(w, r)
		want := []time.Time{
			begun.Add(bodyGrace), begun.Add(allowance(paceStep)), begun.Add(allowance(2 * paceStep)), {},
		}
		if len(w.deadlines) != len(want) {
			t.Fatalf("got deadlines %v, want %v", w.deadlines, want)
		}
		for i, d := range w.deadlines {
			if !d.Equal(want[i]) {
				t.Errorf("deadline %d: got %v, want %v", i, d, want[i])
			}
		}
	})
}

func TestRequestWithoutBodyHasNoDeadline(t *testing.T) {
	t.Parallel()
	w := &deadlineWriter{ResponseWriter: httptest.NewRecorder()}
	r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
	paced(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) })).ServeHTTP(w, r)
	if len(w.deadlines) != 0 {
		t.Errorf("got deadlines %v, want none", w.deadlines)
	}
}

func TestClientThatDoesNotReadIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		begun := time.Now()
		_, err := pacedConn{server}.Write(make([]byte, minRate)) // nobody reads
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v, want that the deadline passed", err)
		}
		if took, want := time.Since(begun), bodyGrace+time.Second; took != want {
			t.Errorf("gave up after %v of virtual time, want %v", took, want)
		}
	})
}
