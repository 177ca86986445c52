package mysqlstore

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/internal/servers/servertest"
)

// TestOneRoundTrip counts what is sent to the server: one message for the claim of a new operation, and one for its finish.
func TestOneRoundTrip(t *testing.T) {
	t.Parallel()
	server := server(t)
	url := database(t, server)
	var sent atomic.Int64
	direct := servers.Address(server.Port)
	address := servertest.Watch(t, direct, func(from io.Reader, to io.Writer) error { return countMessages(from, to, &sent) })
	s := openStore(t, strings.Replace(url, direct, address, 1), Config{})
	defer s.Close()
	for n := range 5 {
		c := newClaim()
		before := sent.Load()
		claims(t, s, c, refrain.Run)
		claimed := sent.Load()
		settles(t, s, finish(&c, "paid"), nil)
		if finished := sent.Load(); n > 0 && (claimed-before != 1 || finished-claimed != 1) { // the first makes partitions
			t.Errorf("got %d messages for a claim and %d for a finish", claimed-before, finished-claimed)
		}
	}
}

// countMessages passes packets on, and counts those that begin a message.
func countMessages(from io.Reader, to io.Writer, sent *atomic.Int64) error {
	for head := make([]byte, 4); ; {
		if _, err := io.ReadFull(from, head); err != nil {
			return err
		}
		if head[3] == 0 {
			sent.Add(1)
		}
		_, _ = to.Write(head)
		if _, err := io.CopyN(to, from, int64(head[0])|int64(head[1])<<8|int64(head[2])<<16); err != nil {
			return err
		}
	}
}
