package crashtest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/sidecar"
)

// A told is what a client read of an answer.
type told struct {
	status   int
	verdict  string // Idempotency-Status
	replayed bool
	body     string
	err      error
}

func (a *told) String() string {
	return fmt.Sprintf("%d %q replayed=%t %.60q err=%v", a.status, a.verdict, a.replayed, a.body, a.err)
}

// success says that the client believes that its operation was executed, and has the outcome.
func (a *told) success() bool {
	return a.err == nil && a.status == http.StatusCreated && a.verdict != "unknown"
}

// Promises 3, 5 and 6 with an upstream whose connections break at any byte: half an answer is never kept as a whole
// one, an executed operation is never executed again, and a kept answer is the answer.
func TestCrashCutUpstream(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	upstream := startCutter(t, rand.New(rand.NewPCG(random.Uint64(), 1)))
	proxy := startProxy(t, sidecar.Config{Upstream: "http://" + upstream.listener.Addr().String(), File: `defaults:
  in_flight: { wait: 0s }
  timeout: 20s
`})
	const n = 1000
	bodies := make([]string, n)
	for i := range bodies {
		if random.IntN(3) > 0 {
			bodies[i] = `{"amount":100}`
		}
	}
	key := func(i int) string { return fmt.Sprintf("k-%04d", i) }
	first := askAll(proxy.URL(), n, key, bodies)
	upstream.calm()
	second, third := askAll(proxy.URL(), n, key, bodies), askAll(proxy.URL(), n, key, bodies)
	counts := map[string]int{}
	for i := range n {
		r := upstream.record(key(i))
		class := judge(r, key(i), [3]told{first[i], second[i], third[i]})
		counts[class]++
		if strings.HasPrefix(class, "WRONG") {
			t.Errorf("%s, %+v: %s\n  first  %v\n  second %v\n  third  %v", key(i), r, class, &first[i], &second[i], &third[i])
		}
	}
	requests, answers, resets := upstream.faults()
	t.Logf("%d connections cut in the request, %d in the answer, %d by reset: %v", requests, answers, resets, counts)
	if requests < n/10 || answers < n/4 || resets < n/10 || counts["replayed"] < n/10 {
		t.Error("too few faults, or too few whole answers, to prove anything")
	}
}

// judge says what became of an operation: asked about three times, the first time with cuts.
func judge(r record, key string, asked [3]told) string {
	document := r.fate.shape.document(key)
	for i := range asked {
		if a := &asked[i]; a.success() && (r.executions != 1 || a.body != document) {
			return "WRONG: told of a success that is none"
		}
	}
	second, third := &asked[1], &asked[2]
	switch {
	case r.executions > 1:
		return "WRONG: executed more than once"
	case second.success() && (!third.success() || !third.replayed):
		return "WRONG: a success, and no replay of it"
	case second.success() && second.replayed:
		return "replayed"
	case second.success():
		return "released, and run when asked again"
	case second.verdict != "unknown" || third.verdict != "unknown":
		return "WRONG: neither a success nor unknown"
	case r.whole && r.fate.shape != closedText:
		return "WRONG: a whole answer that is unknown"
	case asked[0].success() && r.fate.shape != closedText:
		return "WRONG: a success that is unknown later"
	}
	return "unknown"
}

// askAll asks about n keys, some at a time.
func askAll(url string, n int, key func(int) string, bodies []string) []told {
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}, Timeout: time.Minute,
	}
	answers := make([]told, n)
	turns := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for i := range n {
		turns <- struct{}{}
		wg.Go(func() {
			answers[i] = askOnce(client, url, key(i), bodies[i])
			<-turns
		})
	}
	wg.Wait()
	return answers
}

func askOnce(client *http.Client, url, key, body string) told {
	// The reader hides its type, so that http.Transport has no way to send the request a second time by itself.
	req, err := http.NewRequest(http.MethodPost, url+"/orders", struct{ io.Reader }{strings.NewReader(body)})
	if err != nil {
		return told{err: err}
	}
	req.ContentLength = int64(len(body))
	if body == "" {
		req.Body = nil
	}
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return told{err: err}
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return told{
		status: resp.StatusCode, verdict: resp.Header.Get("Idempotency-Status"), body: string(got), err: err,
		replayed: resp.Header.Get("Idempotent-Replayed") == "true",
	}
}
