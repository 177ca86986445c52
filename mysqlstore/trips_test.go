package mysqlstore

import (
	"io"
	"net"
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
	address := servertest.Relay(t, func(client net.Conn) { countMessages(client, servers.Address(server.Port), &sent) })
	s := openStore(t, strings.Replace(url, servers.Address(server.Port), address, 1), Config{})
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

// countMessages passes a connection on, and counts the client's packets that begin a message.
func countMessages(client net.Conn, server string, sent *atomic.Int64) {
	defer client.Close()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	go func() { _, _ = io.Copy(client, upstream) }()
	for head := make([]byte, 4); ; {
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		if head[3] == 0 {
			sent.Add(1)
		}
		_, _ = upstream.Write(head)
		if _, err := io.CopyN(upstream, client, int64(head[0])|int64(head[1])<<8|int64(head[2])<<16); err != nil {
			return
		}
	}
}
