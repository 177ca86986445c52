//go:build unix

package refrainhttp_test

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// contest lets a policy and the default one serve the same requests, a few at a time in turn, and reports the ratios of what
// they take of the processors, with all that goes on behind the answers: of each turn, and of these the median. What other
// processes do meanwhile moves it little.
func contest(b *testing.B, p *refrainhttp.Policy) {
	var first, replay []float64
	for n := 0; b.Loop(); n++ {
		t := newTurn(b, p, &refrainhttp.Policy{}, n*turnRequests)
		first, replay = append(first, t.ratio()), append(replay, t.ratio())
	}
	report(b, "first", first)
	report(b, "replay", replay)
}

// report reports the median, and the half of the interval around it that it is in 19 times of 20.
func report(b *testing.B, what string, ratios []float64) {
	slices.Sort(ratios)
	n := len(ratios)
	noise := 1.57 * (ratios[n*3/4] - ratios[n/4]) / math.Sqrt(float64(n))
	b.ReportMetric(ratios[n/2], what+"/default")
	b.ReportMetric(noise, what+"-noise")
}

// A turn is a part of a contest. Both sides begin it with an empty store.
type turn struct {
	policy   *refrainhttp.Policy // that the requests are made for
	handlers [2]http.Handler
	from     int // the number of its first request
}

// A ratio comes from that many slices of that many requests.
const (
	turnSlices   = 20
	turnSlice    = 50
	turnRequests = turnSlices * turnSlice
)

func newTurn(b *testing.B, p, beside *refrainhttp.Policy, from int) *turn {
	return &turn{p, [2]http.Handler{serving(b, p), serving(b, beside)}, from}
}

// ratio returns that of what the two sides take: of first executions, and when it is called again, of replays.
func (t *turn) ratio() float64 {
	var took [2]time.Duration
	for i := range 2 * turnSlices {
		side := (i + i/2) % 2 // each as often before the other as after it
		made := make([]*http.Request, turnSlice)
		for r := range made {
			made[r] = contestRequest(t.policy, t.from+i/2*turnSlice+r)
		}
		took[side] += serve(t.handlers[side], made)
	}
	return float64(took[0]) / float64(took[1])
}

func serve(h http.Handler, requests []*http.Request) time.Duration {
	w := &sink{header: make(http.Header)}
	start := cpuTime()
	for _, r := range requests {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
	return cpuTime() - start
}

// cpuTime returns what the process has taken of the processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails only without a place to write to
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func serving(b *testing.B, p *refrainhttp.Policy) http.Handler {
	guard, err := refrain.New(memstore.New(memstore.Config{MaxBytes: 1 << 30}), refrain.Config{})
	if err != nil {
		b.Fatal(err)
	}
	m, err := refrainhttp.New(guard, refrainhttp.Config{Routes: []refrainhttp.Route{{Match: []string{"POST /"}, Policy: *p}}})
	if err != nil {
		b.Fatal(err)
	}
	return m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, benchAnswer)
	}))
}

// contestRequest returns the n-th request. It has a key where the policy wants it, and where the default one does.
func contestRequest(p *refrainhttp.Policy, n int) *http.Request {
	key := fmt.Sprintf("01234567-89ab-7def-8123-%012x", n)
	h := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer bench"}, "Cookie": {"session=0123456789"}}
	h.Set("Idempotency-Key", key)
	target, body := &url.URL{Path: "/charges"}, benchBody
	for _, from := range p.Key.From[:min(1, len(p.Key.From))] {
		switch place, names, _ := strings.Cut(from, ":"); place {
		case "body":
			body = contestBody(h, names, key, body)
		case "tuple": // a piece of the key in each place
			for i, name := range strings.Split(names, ",") {
				body = contestBody(h, name, key[18*i:][:18], body)
			}
		case "query":
			target.RawQuery = names + "=" + key
		case "sequence":
			h.Set(names, fmt.Sprint(n))
		default:
			h.Set(names, key)
		}
	}
	if p.Key.Format == refrainhttp.SFString {
		h.Set("Idempotency-Key", `"`+key+`"`)
	}
	if p.Key.FirstSent != "" {
		h.Set(p.Key.FirstSent, time.Now().UTC().Format(http.TimeFormat))
	}
	return &http.Request{
		Method: http.MethodPost, URL: target, Host: "bench", Header: h,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// contestBody puts a part of the key where its name says: in the body, that it returns, or the header.
func contestBody(h http.Header, name, key, body string) string {
	names := strings.Split(name, "/")
	if len(names) == 1 {
		h.Set(name, key)
		return body
	}
	text := fmt.Sprintf("%q", key)
	for _, outer := range slices.Backward(names[1:]) {
		text = fmt.Sprintf(`{%q:%s}`, outer, text)
	}
	return text[:len(text)-1] + "," + body[1:]
}
