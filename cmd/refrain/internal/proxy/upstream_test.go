package proxy

import (
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// What a burst of requests leaves behind does not hold an upstream's workers for as long as there are other requests.
func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := newUpstream(&url.URL{Scheme: "http", Host: "api"}, nil)
		defer u.close()
		var ended atomic.Int64
		keep := func() {
			server, client := net.Pipe()
			u.keep(newConn(client, client))
			go func() {
				_, _ = io.Copy(io.Discard, server)
				ended.Add(1)
			}()
		}
		keep()
		keep()
		time.Sleep(idleLifetime / 2) // of virtual time, as all
		keep()
		time.Sleep(idleLifetime / 2)
		synctest.Wait()
		if n := ended.Load(); n != 0 {
			t.Errorf("%d connections were closed before their time", n)
		}
		keep()
		synctest.Wait()
		if n := ended.Load(); n != 2 || len(u.idle) != 2 {
			t.Errorf("after %v %d connections are closed and %d kept, want 2 and 2", idleLifetime, n, len(u.idle))
		}
	})
}
