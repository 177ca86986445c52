package operations

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// A Client speaks to the operations API of a proxy on this machine. Errors of the API are *Problem.
type Client struct {
	base string
	http http.Client
}

// NewClient returns a client for the admin address, as the configuration has it: of all interfaces it takes the loopback one.
func NewClient(admin string) *Client {
	host, port, err := net.SplitHostPort(admin)
	if err != nil {
		host, port = admin, "80"
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
		host = "127.0.0.1"
	}
	return &Client{
		base: "http://" + net.JoinHostPort(host, port) + Path,
		http: http.Client{
			Timeout: statsTimeout + 5*time.Second, Transport: &http.Transport{DisableKeepAlives: true},
			// What is asked may hold a client's credential, which is nobody else's business.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// List returns a page of the operations in a state, or of all, after the one with that ID.
func (c *Client) List(ctx context.Context, state string, limit int, after string) (p Page, err error) {
	q := url.Values{"state": {state}, "limit": {strconv.Itoa(limit)}}
	if after != "" {
		q.Set("after", after)
	}
	return p, c.call(ctx, http.MethodGet, "?"+q.Encode(), nil, &p)
}

// Get returns the operation with that ID, or so much of its beginning that it is the only one.
func (c *Client) Get(ctx context.Context, id string) (op Operation, err error) {
	return op, c.call(ctx, http.MethodGet, "/"+url.PathEscape(id), nil, &op)
}

// Find returns the operation that a client's request stands for.
func (c *Client) Find(ctx context.Context, r Request) (op Operation, err error) {
	return op, c.call(ctx, http.MethodPost, "/identify", r, &op)
}

// Resolve ends an unknown operation, and returns it as it is then.
func (c *Client) Resolve(ctx context.Context, id string, r Resolution) (op Operation, err error) {
	return op, c.call(ctx, http.MethodPost, "/"+url.PathEscape(id)+"/resolve", r, &op)
}

// Forget removes an operation that is done, and returns what is left: one that is absent.
func (c *Client) Forget(ctx context.Context, id string, o Oblivion) (op Operation, err error) {
	return op, c.call(ctx, http.MethodPost, "/"+url.PathEscape(id)+"/forget", o, &op)
}

// Stats counts the operations.
func (c *Client) Stats(ctx context.Context) (s Stats, err error) {
	return s, c.call(ctx, http.MethodGet, "/stats", nil, &s)
}

// call sends a document, unless it is nil, and reads one.
func (c *Client) call(ctx context.Context, method, path string, send, into any) error {
	var body io.Reader
	if send != nil {
		text, err := json.Marshal(send)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("the admin address makes no URL: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		return c.unanswered(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		err = json.NewDecoder(resp.Body).Decode(into)
	} else {
		p := &Problem{}
		if err = json.NewDecoder(resp.Body).Decode(p); err == nil && p.Code != "" {
			return p
		}
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers, but not as a refrain proxy of this version does (status %d)", r.URL.Host, resp.StatusCode)
	}
	return nil
}

// unanswered says what to do about a proxy that does not answer.
func (c *Client) unanswered(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return fmt.Errorf("no proxy answers: %w; is it running? Name its admin address with --admin, or its file with --config", err)
}
