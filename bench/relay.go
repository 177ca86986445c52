package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/refrain-dev/refrain"
)

// serveRelay is the floor under first executions: what any proxy in Go must do that syncs a claim before it calls the
// upstream and its finish before it answers, and not one thing more. It does not look at the bytes: it takes what one read
// gives for a whole request and a whole answer, which on loopback holds for those of this benchmark.
//
// It runs in a process of its own, which ends when its standard input does.
func serveRelay(ctx context.Context, addr, upstream, path string) error {
	log, err := newAppendLog(path)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		_ = l.Close()
	}()
	for {
		client, err := l.Accept()
		if err != nil {
			return nil //nolint:nilerr // it was told to end
		}
		r := relay{client: client, log: log}
		go r.serve(ctx, upstream)
	}
}

// A relay is one connection of a client and the one to the upstream behind it.
type relay struct {
	client, upstream net.Conn
	log              *syncLog
	buf              [8 << 10]byte
}

func (r *relay) serve(ctx context.Context, upstream string) {
	defer r.client.Close()
	var d net.Dialer
	var err error
	if r.upstream, err = d.DialContext(ctx, "tcp", upstream); err != nil {
		return
	}
	defer r.upstream.Close()
	for err == nil {
		err = r.exchange()
	}
}

// exchange relays one request and its answer.
func (r *relay) exchange() error {
	n, err := r.client.Read(r.buf[:])
	if err != nil {
		return err
	}
	c := newClaim()
	now := time.Now()
	d, _ := c.Apply(refrain.Record{}, now, 1)
	if err := r.log.append(c.ID, d.Record); err != nil {
		return err
	}
	if _, err := r.upstream.Write(r.buf[:n]); err != nil {
		return err
	}
	if n, err = r.upstream.Read(r.buf[:]); err != nil {
		return err
	}
	done, _, err := finish(&c).Apply(d.Record, now)
	if err != nil {
		return err
	}
	if err := r.log.append(c.ID, done); err != nil {
		return err
	}
	_, err = r.client.Write(r.buf[:n])
	return err
}

// startRelay runs the relay in front of the upstream.
func (b *bench) startRelay(ctx context.Context, upstream string) (*server, target, error) {
	s, err := b.serve(ctx, "relay", upstream, filepath.Join(b.dir, "relayed"))
	if err != nil {
		return nil, target{}, fmt.Errorf("starting the relay: %w", err)
	}
	return s, target{name: "relay", addr: s.addr, path: "/charges"}, nil
}
