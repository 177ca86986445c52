package pgstore

import (
	"encoding/binary"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// TestOneRoundTrip counts what the server is asked: once for the claim of a new operation, and once for its finish. Beside it the
// store may look after its buckets, so that the fewest of some operations count.
func TestOneRoundTrip(t *testing.T) {
	t.Parallel()
	url, schema := newSchema(t)
	server := servers.Address(shared.Get(t).Port)
	var asked atomic.Int64
	address := servertest.Watch(t, server, func(from io.Reader, to io.Writer) error { return countQuestions(from, to, &asked) })
	s := openStore(t, strings.Replace(url, server, address, 1), Config{Schema: schema})
	done(t, s, "the first opens buckets")
	toClaim, toFinish := int64(100), int64(100)
	for range 20 {
		c := newClaim()
		before := asked.Load()
		claims(t, s, c, refrain.Run)
		claimed := asked.Load()
		finishes(t, s, &c, "paid")
		toClaim, toFinish = min(toClaim, claimed-before), min(toFinish, asked.Load()-claimed)
	}
	if toClaim != 1 || toFinish != 1 {
		t.Errorf("got %d round trips for a claim and %d for a finish, want one", toClaim, toFinish)
	}
}

// countQuestions passes messages on, and counts those after which the client waits: Sync and Query.
func countQuestions(from io.Reader, to io.Writer, asked *atomic.Int64) error {
	const wantsTLS = 80877103
	for code := uint32(wantsTLS); code == wantsTLS; { // the first messages have no type
		message, err := readQuestion(from, 0)
		if err != nil {
			return err
		}
		code = binary.BigEndian.Uint32(message[4:])
		_, _ = to.Write(message)
	}
	for {
		message, err := readQuestion(from, 1)
		if err != nil {
			return err
		}
		if message[0] == 'S' || message[0] == 'Q' {
			asked.Add(1) // before it can be answered
		}
		_, _ = to.Write(message)
	}
}

// readQuestion reads a message whose length is behind so many bytes.
func readQuestion(r io.Reader, behind int) ([]byte, error) {
	message := make([]byte, behind+4)
	if _, err := io.ReadFull(r, message); err != nil {
		return nil, err
	}
	rest := make([]byte, binary.BigEndian.Uint32(message[behind:])-4)
	if _, err := io.ReadFull(r, rest); err != nil {
		return nil, err
	}
	return append(message, rest...), nil
}
