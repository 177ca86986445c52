package servertest

import (
	"net"
	"testing"
)

// Relay listens on the loopback interface until the test ends, and returns where. Each connection is given to serve, in a
// goroutine of its own: to be passed on to a server, and broken on the way.
func Relay(tb testing.TB, serve func(client net.Conn)) (address string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go serve(client)
		}
	}()
	return l.Addr().String()
}
