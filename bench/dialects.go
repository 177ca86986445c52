package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// dialectLimit is how much more the path of a request may cost under a dialect than under the default one.
const dialectLimit = 1.03

// A speaker is the middleware under a dialect, around a handler that counts its runs, and how a client asks it.
type speaker struct {
	dialect refrainhttp.Dialect
	guard   *refrain.Guard
	handler http.Handler
	runs    uint64
	seen    uint64 // operations so far
}

func newSpeaker(d refrainhttp.Dialect) (*speaker, error) {
	s := &speaker{dialect: d}
	var err error
	if s.guard, err = refrain.New(memstore.New(memstore.Config{MaxBytes: 1 << 30}), refrain.Config{}); err != nil {
		return nil, err
	}
	m, err := refrainhttp.New(s.guard, refrainhttp.Config{Policy: d.Policy})
	if err != nil {
		return nil, err
	}
	s.handler = m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.runs++
		charge(w, r)
	}))
	return s, nil
}

// ask returns the requests of n operations, from the one after seen: making them is not measured.
func (s *speaker) ask(ctx context.Context, n int) []*http.Request {
	all := make([]*http.Request, n)
	key := make([]byte, 36)
	sent := time.Now().UTC().Format(http.TimeFormat)
	for i := range all {
		uuid(key, s.seen+uint64(i))
		h, content := http.Header{}, body
		place(s.dialect.Policy.Key, string(key), h, &content)
		if name := s.dialect.Policy.Key.FirstSent; name != "" {
			h.Set(name, sent)
		}
		all[i] = newServerRequest(h, content).WithContext(ctx)
	}
	return all
}

// place puts the key where a dialect looks for it first.
func place(k refrainhttp.Key, key string, h http.Header, content *string) {
	from := "header:Idempotency-Key"
	if len(k.From) > 0 {
		from = k.From[0]
	}
	if k.Format == refrainhttp.SFString {
		key = strconv.Quote(key)
	}
	scheme, names, _ := strings.Cut(from, ":")
	for name := range strings.SplitSeq(names, ",") {
		switch {
		case scheme == "body":
			*content = `{"` + name[1:] + `":"` + key + `",` + body[1:]
		default:
			h.Set(name, key)
		}
	}
}

// serve returns the CPU time that requests take.
func (s *speaker) serve(all []*http.Request, runs bool) (time.Duration, error) {
	w := memoryWriter{header: make(http.Header)}
	before, start := s.runs, cpuTime()
	for _, r := range all {
		w.reset()
		s.handler.ServeHTTP(&w, r)
	}
	took := cpuTime() - start
	want := uint64(0)
	if runs {
		want = uint64(len(all))
	}
	if got := s.runs - before; got != want {
		return 0, fmt.Errorf("dialect %s: %d of %d requests ran, the last was answered %d", s.dialect.Name, got, len(all), w.status)
	}
	return took, nil
}

// turn returns the CPU time of n first executions, and that of their replays.
func (s *speaker) turn(ctx context.Context, n int) (first, replay time.Duration, err error) {
	firsts, replays := s.ask(ctx, n), s.ask(ctx, n)
	s.seen += uint64(n)
	if first, err = s.serve(firsts, true); err != nil {
		return 0, 0, err
	}
	replay, err = s.serve(replays, false)
	return first, replay, err
}

// dialects compares what a request costs under every dialect with what it costs under the default one, and shows the
// dearest.
func (b *bench) dialects(ctx context.Context) ([]result, error) {
	var worst [2]score // of first executions and replays
	var names [2]string
	for _, d := range refrainhttp.Dialects()[1:] {
		ratios, err := b.besideDefault(ctx, d)
		if err != nil {
			return nil, err
		}
		for i := range ratios {
			if s := scoreOf(ratios[i]); s.ratio > worst[i].ratio {
				worst[i], names[i] = s, d.Name
			}
		}
		progress(fmt.Sprintf("dialect %s beside default: %.3f of a first execution, %.3f of a replay",
			d.Name, median(ratios[0]), median(ratios[1])))
	}
	var results []result
	for i, what := range [2]string{"first execution", "replay"} {
		r := atMost(dialectLimit, "the dearest dialect in process, "+what, "", worst[i], "")
		r.ours, r.theirs = names[i], "default"
		results = append(results, r)
	}
	return results, nil
}

// besideDefault lets the two work in many short turns, and returns the ratios of their costs.
func (b *bench) besideDefault(ctx context.Context, d refrainhttp.Dialect) (ratios [2][]float64, err error) {
	ours, err := newSpeaker(d)
	if err != nil {
		return ratios, fmt.Errorf("dialect %s: %w", d.Name, err)
	}
	defer func() { _ = ours.guard.Close(ctx) }()
	base, err := newSpeaker(refrainhttp.Dialects()[0])
	if err != nil {
		return ratios, err
	}
	defer func() { _ = base.guard.Close(ctx) }()
	const turns, requests = 5, 2000
	for range turns * b.plan.rounds {
		first, replay, err := ours.turn(ctx, requests)
		if err != nil {
			return ratios, err
		}
		baseFirst, baseReplay, err := base.turn(ctx, requests)
		if err != nil {
			return ratios, err
		}
		ratios[0] = append(ratios[0], float64(first)/float64(baseFirst))
		ratios[1] = append(ratios[1], float64(replay)/float64(baseReplay))
	}
	return ratios, nil
}
