package jwt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

const (
	maxKeySetBytes = 1 << 20
	fileInterval   = 10 * time.Second
	urlInterval    = 5 * time.Minute
)

// A source is where an issuer's keys are read.
type source struct {
	name     string // for people: without a query, which may hold what is not for logs
	interval time.Duration
	read     func(context.Context) ([]byte, error)
}

// newSource returns the source that a valid Issuer.Keys names.
func newSource(keys string) source {
	if !isURL(keys) {
		return source{keys, fileInterval, func(context.Context) ([]byte, error) { return readFile(keys) }}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // one request in five minutes
	client := &http.Client{
		Transport: transport,
		// Wherever a redirect leads, it was not what the configuration says, and not checked as that was.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	get := func(ctx context.Context) ([]byte, error) { return fetch(ctx, client, keys) }
	return source{withoutQuery(keys), urlInterval, get}
}

func withoutQuery(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the key set's URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err) // the path is in source.name
	}
	defer f.Close()
	return readBounded(f)
}

func fetch(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := client.Do(r)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return nil, wrapped.Err // without the URL and its query
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %d, not 200; redirects are not followed", resp.StatusCode)
	}
	return readBounded(resp.Body)
}

func readBounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKeySetBytes+1))
	if err == nil && len(data) > maxKeySetBytes {
		return nil, errors.New("it is larger than 1 MiB")
	}
	return data, err
}
