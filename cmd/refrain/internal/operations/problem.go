package operations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// A Problem is why a request was not carried out (RFC 9457).
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"` // what programs tell problems apart by
	Detail string `json:"detail"`
}

func (p *Problem) Error() string { return p.Detail }

func problem(status int, code, format string, args ...any) *Problem {
	return &Problem{status, code, fmt.Sprintf(format, args...)}
}

// problemOf returns the problem that an error of the guard is.
func problemOf(err error) *Problem {
	switch {
	case errors.Is(err, refrain.ErrAbsent):
		return problem(http.StatusNotFound, "not-found", "there is no such operation; it may have been released, or be forgotten")
	case errors.Is(err, refrain.ErrChanged):
		return problem(http.StatusConflict, "changed", "the operation has changed since you looked at it; look again")
	case errors.Is(err, refrain.ErrWrongState):
		return problem(http.StatusUnprocessableEntity, "wrong-state",
			"%s; only an unknown operation can be resolved, and only one that is done or expired forgotten", err)
	case errors.Is(err, refrain.ErrUnrecorded):
		return problem(http.StatusConflict, "unrecorded", "the operation has ended, and its own outcome waits for the store")
	case errors.Is(err, refrainhttp.ErrNoOperation):
		return problem(http.StatusUnprocessableEntity, "no-operation", "%s", err)
	case errors.Is(err, refrain.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return problem(http.StatusServiceUnavailable, "unavailable", "the store did not answer; before you repeat a change, look again")
	}
	if own, ok := errors.AsType[*Problem](err); ok {
		return own
	}
	return problem(http.StatusInternalServerError, "internal", "%s", err)
}

func (p *Problem) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	write(w, p.Status, p)
}

// write answers with a document.
func write(w http.ResponseWriter, status int, document any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document) // whoever does not take it has left
}
