package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/redisstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// recall compares replays of one operation out of the process, which keeps outcomes in memory and lets duplicates that come at
// the same time share one call, with replays that each ask the store: Redis, the fastest of those outside the process.
func (b *bench) recall(ctx context.Context) ([]result, error) {
	server, err := servers.StartRedis(ctx, b.dir)
	if missing := (*servers.Missing)(nil); errors.As(err, &missing) {
		return nil, skipped(missing.Error())
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = server.Stop() }()
	s, err := redisstore.Open(ctx, server.URL(), redisstore.Config{AuditEvery: time.Hour})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	r := replayer{store: s, secret: make([]byte, 32)}
	remembering, sharing := r.caller(ctx, 0), r.caller(ctx, -1)
	var alone sync.Pool // a guard for each request, which has nobody to share with
	alone.New = func() any { return r.caller(ctx, -1) }
	turn := func(call func() error) func() (float64, error) {
		return func() (float64, error) { return together(redisClients, b.plan.turn(), call) }
	}
	const peer = "each from Redis"
	const what = "replays of a hot key through the middleware, 64 at a time"
	got, err := warmTourney(what, b.plan.rounds,
		side{"Refrain", turn(remembering)},
		side{"without memory", turn(sharing)},
		side{peer, turn(func() error {
			call := alone.Get().(func() error)
			defer alone.Put(call)
			return call()
		})})
	if err != nil {
		return nil, err
	}
	return []result{
		atLeast(5, what, "/s", got[0], peer),
		floor("the same without memory: duplicates share calls of the store", "Refrain", got[1], peer),
	}, nil
}

// A replayer makes requests of one operation.
type replayer struct {
	store  refrain.Store
	secret []byte
}

// caller returns what sends such a request through a middleware of its own, with so much memory for outcomes.
func (r *replayer) caller(ctx context.Context, memory int) func() error {
	guard, err := refrain.New(r.store, refrain.Config{Secret: r.secret, Recall: memory})
	var m *refrainhttp.Middleware
	if err == nil {
		m, err = refrainhttp.New(guard, refrainhttp.Config{})
	}
	if err != nil {
		return func() error { return err }
	}
	handler := m.Wrap(http.HandlerFunc(charge))
	free := sync.Pool{New: func() any { return netHTTP(ctx, handler) }}
	return func() error {
		call := free.Get().(inProcess)
		defer free.Put(call)
		return call(1)
	}
}
