package proxy

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// A problem is the answer for an upstream that gave none (RFC 9457).
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	Code      string `json:"code"`
	Retryable bool   `json:"retryable"`
}

func noTunnel() problem {
	return problem{
		Code: "no-tunnel", Status: http.StatusMethodNotAllowed, Title: "CONNECT is not for a reverse proxy",
		Detail: "There is one upstream behind this server, and no tunnel to another.",
	}
}

func unanswered(err error) problem {
	if errors.Is(err, errNotSent) {
		return problem{
			Code: "upstream-unreachable", Status: http.StatusBadGateway, Retryable: true,
			Title:  "The upstream cannot be reached",
			Detail: "Nothing was sent to the API, so nothing happened. Send the same request again.",
		}
	}
	p := problem{
		Code: "upstream-unanswered", Status: http.StatusBadGateway,
		Title:  "The upstream did not give a whole answer",
		Detail: "The request was sent to the API; whether it was carried out is not known.",
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.Status, p.Title = http.StatusGatewayTimeout, "The upstream did not answer in time"
	}
	return p
}

func (p problem) write(w http.ResponseWriter) {
	p.Type = refrainhttp.ProblemBase + p.Code
	b, _ := json.Marshal(p) // strings, a number and a bool
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(b)
}
