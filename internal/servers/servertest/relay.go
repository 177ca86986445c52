package servertest

import (
	"io"
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

// Watch is a Relay to a server, in which pass passes on, and sees, what each client sends.
func Watch(tb testing.TB, server string, pass func(from io.Reader, to io.Writer) error) (address string) {
	tb.Helper()
	return Relay(tb, func(client net.Conn) {
		defer client.Close()
		upstream, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer upstream.Close()
		go func() { _, _ = io.Copy(client, upstream) }()
		_ = pass(client, upstream) // whoever is cut off tells what is wrong
	})
}
