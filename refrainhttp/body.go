package refrainhttp

import (
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
)

var (
	// errTooLarge says that a body is longer than its limit.
	errTooLarge = errors.New("the body is too large")
	// errNoRoom says that the bodies of all requests are.
	errNoRoom = errors.New("there is no room for the body")
)

// readBody reads a request's body into b, up to limit bytes and as long as there is room; what was read is there after an error
// too. Nothing is claimed before it returns: a slow or broken client holds no lease.
func readBody(b *buffer, r *http.Request, limit int64, room *holding) error {
	if r.ContentLength > limit {
		return errTooLarge
	}
	if r.Body == nil {
		return nil
	}
	if r.ContentLength > 0 {
		// One byte more, so that the end is seen without growing. A length is only a promise: trust little of it.
		b.b = slices.Grow(b.b, int(min(r.ContentLength, 8<<10))+1)
	}
	for {
		if len(b.b) == cap(b.b) {
			more := cap(b.b)
			if left := r.ContentLength + 1 - int64(len(b.b)); left > 0 {
				more = int(min(left, 7*int64(cap(b.b)))) // trust more of it to who keeps it
			}
			b.b = slices.Grow(b.b, more)
		}
		n, err := r.Body.Read(b.b[len(b.b):cap(b.b)])
		b.b = b.b[:len(b.b)+n]
		switch {
		case int64(len(b.b)) > limit:
			return errTooLarge
		case !room.reach(int64(len(b.b))):
			return errNoRoom
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// bodyRefusal returns the refusal for a body that could not be read.
func bodyRefusal(err error) refusal {
	var tooLong *http.MaxBytesError
	switch {
	case errors.Is(err, errTooLarge), errors.As(err, &tooLong):
		return refusal{kind: problemTooLarge}
	case errors.Is(err, errNoRoom):
		return problemUnavailable.refusal()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refusal{kind: problemBodyTimeout}
	}
	return refusal{kind: problemBodyBroken}
}

// A bodyReader gives a handler the body that was read. It is never nil and never http.NoBody, and a request with it has
// no GetBody: net/http's own client sends a request with an Idempotency-Key twice when it can.
//
// A handler may leave a goroutine behind that still reads, as http.Transport does; after end it finds nothing.
type bodyReader struct {
	mu    sync.Mutex
	rest  []byte
	tail  io.Reader // what follows rest, if not nil
	ended bool
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ended:
		return 0, http.ErrBodyReadAfterClose
	case len(r.rest) > 0:
		n := copy(p, r.rest)
		r.rest = r.rest[n:]
		return n, nil
	case r.tail != nil:
		return r.tail.Read(p)
	}
	return 0, io.EOF
}

// Close implements io.Closer.
func (r *bodyReader) Close() error {
	r.end()
	return nil
}

// end takes the body away.
func (r *bodyReader) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest, r.ended = nil, true
}
