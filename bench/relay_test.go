package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// The floor is one only if a claim and a finish are written for each answer.
func TestRelayRecordsEveryAnswer(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, answer)
	}))
	defer upstream.Close()
	path := filepath.Join(t.TempDir(), "log")
	log, err := newAppendLog(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r := relay{client: c, log: log}
			go r.serve(t.Context(), upstream.Listener.Addr().String())
		}
	}()
	var seq sequence
	load := load{target: target{name: "relay", addr: l.Addr().String(), path: "/"}, keys: seq.fresh, until: times(500)}
	if _, err := load.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Close()
	log.close()
	written, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	c := newClaim()
	d, _ := c.Apply(refrain.Record{}, time.Now(), 1)
	done, _, _ := finish(&c).Apply(d.Record, time.Now())
	each := 2*len(c.ID) + len(refrain.AppendRecord(nil, c.ID, d.Record)) + len(refrain.AppendRecord(nil, c.ID, done))
	if got, want := written.Size(), int64(500*each); got < want*99/100 || got > want*101/100 {
		t.Errorf("got %d bytes in the log, want about %d: 500 claims and their finishes", got, want)
	}
}
