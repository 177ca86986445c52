package main

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// Reloads that come in a storm, with certificates that change under load, lose no request and run none twice.
func TestReloadStorm(t *testing.T) {
	t.Parallel()
	const clients, reloads = 64, 100
	up, a := newLedger(t), newAuthority(t)
	p, dir := encrypted(t, up, a)
	var sent atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range clients {
		c := a.showing(p, i%2 == 0, a.issue(fmt.Sprint("client ", i)))
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if n%10 == 9 {
					c.client.CloseIdleConnections()
				}
				key := fmt.Sprintf("k-%d-%d", i, n)
				for _, want := range []string{"executed", "replayed"} {
					c.post("/charges", key).want(t, key, http.StatusCreated, want)
				}
				sent.Add(1)
			}
		})
	}
	for i := range reloads {
		if i%3 == 0 {
			writePEM(t, dir, a.issue("a server"))
		}
		before := sent.Load()
		p.signal(syscall.SIGHUP)
		eventually(t, "requests go on", func() bool { return sent.Load() >= before+2 })
	}
	close(stop)
	wg.Wait()
	total := 0
	for key, n := range up.counts() {
		if total++; n != 1 {
			t.Errorf("%s ran %d times", key, n)
		}
	}
	if int64(total) != sent.Load() {
		t.Errorf("%d operations ran, %d were sent", total, sent.Load())
	}
}
