package payments

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// A Kind is what a client knows of its order in the end.
type Kind uint8

// The kinds of a Result.
const (
	Unanswered Kind = iota // all tries are used up and nobody gave a verdict
	Paid                   // charged: a success was read to its end
	Refused                // told that it was not charged
	Unknown                // told that nobody knows whether it was charged
)

func (k Kind) String() string { return [...]string{"unanswered", "paid", "refused", "unknown"}[k] }

// A Result is how paying ended.
type Result struct {
	Kind   Kind
	Status int // of the last answer, zero when there was none
	Header http.Header
	Body   []byte
	Tries  int
	Err    error // why the last try had no answer
}

// A Client pays as a careful client does: all tries of an order carry the same key and the same bytes, their number is
// bounded, and pauses between them grow. "In progress" means to ask again, "unknown" is taken for what it says. The
// zero Client but for URL works, and may be used concurrently.
type Client struct {
	// URL is the API's, without a path.
	URL string
	// Transport sends the requests. If nil, http.DefaultTransport.
	Transport http.RoundTripper
	// Tries bounds the tries. If zero, 12.
	Tries int
	// Patience bounds each try. If zero, 10 seconds.
	Patience time.Duration
	// Pause is what the client waits after the first try that failed; it doubles up to sixteen times that. If zero, 25 ms.
	Pause time.Duration
}

// longestRetryAfter bounds what a server's Retry-After can ask for.
const longestRetryAfter = 2 * time.Second

// Pay orders until there is a verdict, the tries are used up or ctx ends.
func (c *Client) Pay(ctx context.Context, key string, o Order) Result {
	body, err := json.Marshal(o)
	if err != nil {
		return Result{Err: fmt.Errorf("encoding order %s: %w", o.Reference, err)}
	}
	pause := cmp.Or(c.Pause, 25*time.Millisecond)
	longest := 16 * pause
	tries := cmp.Or(c.Tries, 12)
	var r Result
	for n := 1; n <= tries; n++ {
		r = c.try(ctx, key, body)
		r.Tries = n
		if r.Kind != Unanswered || n == tries || !sleep(ctx, max(pause/2+rand.N(pause), r.retryAfter())) {
			break
		}
		pause = min(2*pause, longest)
	}
	return r
}

func (c *Client) try(ctx context.Context, key string, body []byte) Result {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.Patience, 10*time.Second))
	defer cancel()
	// The reader hides its type, so that http.Transport has no way to send the request a second time by itself.
	hidden := struct{ io.Reader }{bytes.NewReader(body)}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/charges", hidden)
	if err != nil {
		return Result{Err: err}
	}
	req.ContentLength = int64(len(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer merchant-1")
	req.Header.Set("Idempotency-Key", key)
	resp, err := c.transport().RoundTrip(req)
	if err != nil {
		return Result{Err: err}
	}
	defer resp.Body.Close()
	r := Result{Status: resp.StatusCode, Header: resp.Header}
	if r.Body, err = io.ReadAll(resp.Body); err != nil {
		r.Err = fmt.Errorf("reading the answer: %w", err)
		return r
	}
	r.Kind = r.judge()
	return r
}

func (c *Client) transport() http.RoundTripper {
	if c.Transport == nil {
		return http.DefaultTransport
	}
	return c.Transport
}

// judge says what a whole answer tells.
func (r *Result) judge() Kind {
	status := r.Header.Get("Idempotency-Status")
	switch {
	case r.Status >= 200 && r.Status <= 299:
		return Paid
	case status == "unknown":
		return Unknown
	case status == "in-progress", r.Status == http.StatusTooManyRequests, r.Status >= 500:
		return Unanswered
	}
	return Refused
}

// retryAfter returns what the last answer asks the client to wait, within reason.
func (r *Result) retryAfter() time.Duration {
	seconds, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, longestRetryAfter)
}

// Charge returns the charge that the answer tells of.
func (r *Result) Charge() (Charge, error) {
	var c Charge
	if r.Kind != Paid {
		return c, errors.New("nothing was paid")
	}
	if err := json.Unmarshal(r.Body, &c); err != nil {
		return c, fmt.Errorf("reading the charge: %w", err)
	}
	return c, nil
}

// sleep waits for d, and reports whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
