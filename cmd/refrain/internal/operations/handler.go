package operations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/refrain-dev/refrain"
)

// Config configures a Handler.
type Config struct {
	Guard *refrain.Guard
	Store refrain.Store // the guard's
	// Identify finds the operation that a request stands for.
	Identify func(*http.Request) (id refrain.ID, route string, err error)
	// Keep is how long what an operator says is kept, for nobody knows the operation's route.
	Keep   refrain.Keep
	Logger *slog.Logger
}

// Path is where Handler belongs.
const Path = "/api/v1/operations"

const (
	// timeout bounds a request, which may have to wait for an execution in this process.
	timeout = 10 * time.Second
	// statsTimeout bounds the count, which reads every operation, within what the admin server takes to write an answer.
	statsTimeout = 25 * time.Second
	maxBody      = 8 << 20
)

// Handler returns the handler of Path and everything below.
func Handler(cfg Config) http.Handler {
	h := &handler{cfg}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, document(h.list, timeout))
	mux.HandleFunc("GET "+Path+"/stats", document(h.stats, statsTimeout))
	mux.HandleFunc("POST "+Path+"/identify", document(h.identify, timeout))
	mux.HandleFunc("GET "+Path+"/{id}", document(h.show, timeout))
	mux.HandleFunc("POST "+Path+"/{id}/resolve", document(h.resolve, timeout))
	mux.HandleFunc("POST "+Path+"/{id}/forget", document(h.forget, timeout))
	return local(mux, cfg.Logger)
}

type handler struct{ Config }

// document makes a handler of a function that returns what to answer with, within that time.
func document(f func(*http.Request) (any, error), within time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), within)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		doc, err := f(r.WithContext(ctx))
		if err != nil {
			problemOf(err).write(w)
			return
		}
		write(w, http.StatusOK, doc)
	}
}

func (h *handler) show(r *http.Request) (any, error) {
	id, err := h.find(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	op, err := h.lookup(r.Context(), id)
	if err == nil && op.State == refrain.StateAbsent.String() {
		err = refrain.ErrAbsent
	}
	return op, err
}

func (h *handler) lookup(ctx context.Context, id refrain.ID) (Operation, error) {
	record, err := h.Guard.Lookup(ctx, id)
	unrecorded := errors.Is(err, refrain.ErrUnrecorded)
	if err != nil && !unrecorded {
		return Operation{}, err
	}
	op := describe(id, &record)
	op.Unrecorded = unrecorded
	return op, nil
}

// identify finds the operation of a client's request. The request holds the client's key and credentials: nothing of it is
// kept, logged or told back.
func (h *handler) identify(r *http.Request) (any, error) {
	var asked Request
	if err := decode(r, &asked); err != nil {
		return nil, err
	}
	target := asked.URL
	if strings.HasPrefix(target, "/") {
		target = "http://localhost" + target
	}
	request, err := http.NewRequestWithContext(r.Context(), asked.Method, target, strings.NewReader(asked.Body))
	if err != nil || asked.Method == "" || request.URL.Path == "" {
		return nil, problem(http.StatusBadRequest, "bad-request", "method and url do not make a request; write POST and /charges")
	}
	if request.Header, err = header(asked.Headers); err != nil {
		return nil, problem(http.StatusBadRequest, "bad-request", "%s", err)
	}
	if host := request.Header["Host"]; len(host) == 1 {
		request.Host = host[0]
	}
	if asked.Remote != "" {
		from, err := netip.ParseAddr(asked.Remote)
		if err != nil {
			return nil, problem(http.StatusBadRequest, "bad-request", "remote must be an IP address, without a port")
		}
		request.RemoteAddr = netip.AddrPortFrom(from, 0).String()
	}
	id, route, err := h.Identify(request)
	if err != nil {
		return nil, err
	}
	op, err := h.lookup(r.Context(), id)
	op.Route = route
	return op, err
}

// header returns a document's fields by their canonical names. One that is there twice, in two spellings, would be either.
func header(fields map[string][]string) (http.Header, error) {
	h := make(http.Header, len(fields))
	for name, lines := range fields {
		canonical := http.CanonicalHeaderKey(name)
		if _, twice := h[canonical]; twice {
			return nil, fmt.Errorf("header %s is there in two spellings; give all of its lines under one", canonical)
		}
		h[canonical] = lines
	}
	return h, nil
}

// decode reads the request's document.
func decode(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.More() {
		err = errors.New("there is something behind the document")
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem(http.StatusRequestEntityTooLarge, "too-large", "the document is longer than %d bytes", maxBody)
	}
	if err != nil {
		return problem(http.StatusBadRequest, "bad-request", "the document cannot be read: %s", err)
	}
	return nil
}
