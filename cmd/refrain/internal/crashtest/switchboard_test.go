//go:build unix

package crashtest

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// A switchboard is an address whose connections go to a server, and after a failover to another, as a virtual IP's do.
type switchboard struct {
	listener net.Listener

	mu     sync.Mutex
	target string
	open   map[net.Conn]bool
}

func newSwitchboard(t *testing.T, target string) *switchboard {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &switchboard{listener: l, target: target, open: map[net.Conn]bool{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.serve()
	}()
	t.Cleanup(func() {
		_ = l.Close()
		s.connect("")
		<-done
	})
	return s
}

func (s *switchboard) address() string { return s.listener.Addr().String() }

// connect cuts all connections; later ones go to the target.
func (s *switchboard) connect(target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.target = target
	for c := range s.open {
		_ = c.Close()
	}
	clear(s.open)
}

func (s *switchboard) serve() {
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		c, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			calls.Go(func() { s.call(c) })
		}
	}
}

func (s *switchboard) call(from net.Conn) {
	defer from.Close()
	s.mu.Lock()
	target := s.target
	s.mu.Unlock()
	to, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer to.Close()
	s.mu.Lock()
	if s.target != target {
		s.mu.Unlock()
		return
	}
	s.open[from], s.open[to] = true, true
	s.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].Close()
			_ = way[1].Close()
		})
	}
	both.Wait()
	s.mu.Lock()
	delete(s.open, from)
	delete(s.open, to)
	s.mu.Unlock()
}
