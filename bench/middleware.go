package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/idempotency"
	"github.com/valyala/fasthttp"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A cost is what one request takes.
type cost struct {
	cpu    time.Duration // of all cores, the garbage collector's included
	allocs float64
	bytes  float64
}

func (c cost) minus(o cost) cost { return cost{c.cpu - o.cpu, c.allocs - o.allocs, c.bytes - o.bytes} }

// A server in process answers the operation with that number.
type inProcess func(key uint64) error

// operations is how many requests a turn in process has.
const operations = 50_000

// measure runs the operations from+1 to from+n, and returns the mean cost of one.
func measure(s inProcess, from uint64, n int) (cost, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := cpuTime()
	for i := range n {
		if err := s(from + 1 + uint64(i)); err != nil {
			return cost{}, err
		}
	}
	took := cpuTime() - start
	runtime.ReadMemStats(&after)
	return cost{
		cpu:    took / time.Duration(n),
		allocs: float64(after.Mallocs-before.Mallocs) / float64(n),
		bytes:  float64(after.TotalAlloc-before.TotalAlloc) / float64(n),
	}, nil
}

// A contender is a middleware: a server with it, and the same one without.
type contender struct {
	name       string
	bare, with inProcess
}

// added returns the cost of a first execution and that of a replay, as what the middleware adds to its bare server.
func (c *contender) added(from uint64) (first, replay cost, err error) {
	bare, err := measure(c.bare, from, operations)
	if err != nil {
		return first, replay, fmt.Errorf("%s without middleware: %w", c.name, err)
	}
	if first, err = measure(c.with, from, operations); err != nil {
		return first, replay, fmt.Errorf("%s, first execution: %w", c.name, err)
	}
	if replay, err = measure(c.with, from, operations); err != nil {
		return first, replay, fmt.Errorf("%s, replay: %w", c.name, err)
	}
	return first.minus(bare), replay.minus(bare), nil
}

// middleware compares what two middlewares on memory add to their bare handlers.
func (b *bench) middleware(ctx context.Context) ([]result, error) {
	var costs [2][2][]cost // of each contender, of first executions and replays
	for round := range b.plan.rounds {
		ours, closeOurs, err := refrainInProcess(ctx)
		if err != nil {
			return nil, err
		}
		for i, c := range []contender{ours, fiberInProcess()} { // new ones, so that memory does not grow from turn to turn
			first, replay, err := c.added(uint64(round+1) << 32)
			if err != nil {
				return nil, err
			}
			costs[i][0] = append(costs[i][0], first)
			costs[i][1] = append(costs[i][1], replay)
			progress(fmt.Sprintf("%s in process, round %d of %d: adds %s to a first execution, %s to a replay",
				c.name, round+1, b.plan.rounds, first, replay))
		}
		closeOurs()
	}
	return []result{
		cheaper("middleware in process, first execution", costs[0][0], costs[1][0]),
		cheaper("middleware in process, replay", costs[0][1], costs[1][1]),
	}, nil
}

// cheaper returns the line that says whether a costs no more than b.
func cheaper(what string, a, b []cost) result {
	var ratios []float64
	for i := range a {
		ratios = append(ratios, float64(a[i].cpu)/float64(b[i].cpu))
	}
	r := atMost(1, what, "", scoreOf(ratios), "")
	r.ours, r.theirs = middle(a).String(), "Fiber "+middle(b).String()
	return r
}

func (c cost) String() string {
	return fmt.Sprintf("%.2f µs, %.0f allocations, %.0f B", float64(c.cpu)/1000, c.allocs, c.bytes)
}

// middle returns the medians of costs.
func middle(all []cost) cost {
	var cpu, allocs, bytes []float64
	for _, c := range all {
		cpu, allocs, bytes = append(cpu, float64(c.cpu)), append(allocs, c.allocs), append(bytes, c.bytes)
	}
	return cost{time.Duration(median(cpu)), median(allocs), median(bytes)}
}

// uuid writes the key, of 48 bits, into the last digits of a UUID of version 7.
func uuid(b []byte, key uint64) {
	copy(b, "5eb63bbb-e01e-7eed-8000-")
	for i := range 12 {
		b[24+i] = digits[key>>(44-4*i)&15]
	}
}

// refrainInProcess is the middleware on memstore around a handler of net/http.
func refrainInProcess(ctx context.Context) (contender, func(), error) {
	store := memstore.New(memstore.Config{MaxBytes: 1 << 30})
	guard, err := refrain.New(store, refrain.Config{})
	if err != nil {
		return contender{}, nil, err
	}
	m, err := refrainhttp.New(guard, refrainhttp.Config{})
	if err != nil {
		return contender{}, nil, err
	}
	stop := func() {
		_ = guard.Close(ctx)
		_ = store.Close()
	}
	bare := http.HandlerFunc(charge)
	return contender{"Refrain", netHTTP(ctx, bare), netHTTP(ctx, m.Wrap(bare))}, stop, nil
}

// charge is the handler of net/http.
func charge(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answer)
}

// fiberInProcess is Fiber's middleware, on its storage and lock in memory, around a handler of Fiber.
func fiberInProcess() contender {
	charge := func(c fiber.Ctx) error {
		c.Set("Content-Type", "application/json")
		return c.SendString(answer)
	}
	bare, with := fiber.New(), fiber.New()
	bare.Post("/charges", charge)
	with.Use(idempotency.New(idempotency.Config{KeyHeader: "Idempotency-Key"}))
	with.Post("/charges", charge)
	return contender{"Fiber", fastHTTP(bare.Handler()), fastHTTP(with.Handler())}
}

func fastHTTP(h fasthttp.RequestHandler) inProcess {
	var c fasthttp.RequestCtx
	key := make([]byte, 36)
	return func(n uint64) error {
		uuid(key, n)
		c.Request.Reset()
		c.Response.Reset()
		c.Request.Header.SetMethod("POST")
		c.Request.SetRequestURI("/charges")
		c.Request.Header.SetContentType("application/json")
		c.Request.Header.Set("Authorization", "Bearer bench")
		c.Request.Header.SetBytesV("Idempotency-Key", key)
		c.Request.SetBodyString(body)
		h(&c)
		return check(c.Response.StatusCode(), c.Response.Body())
	}
}

func check(status int, body []byte) error {
	if status != http.StatusOK || len(body) != len(answer) {
		return fmt.Errorf("answered %d with %d bytes", status, len(body))
	}
	return nil
}
