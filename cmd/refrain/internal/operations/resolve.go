package operations

import (
	"net/http"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// maxWords bounds what goes to the log.
const maxWords = 1000

// resolve ends an unknown operation by hand.
func (h *handler) resolve(r *http.Request) (any, error) {
	var said Resolution
	if err := decode(r, &said); err != nil {
		return nil, err
	}
	res, err := said.resolution()
	if err != nil {
		return nil, err
	}
	res.Keep = h.Keep
	return h.end(r, &res)
}

// end carries out what an operator says of the operation that the path names. The guard writes the line of the audit, with who
// and why.
func (h *handler) end(r *http.Request, res *refrain.Resolution) (any, error) {
	id, err := h.find(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	record, err := h.Guard.Resolve(r.Context(), id, *res)
	if err != nil {
		p := problemOf(err)
		h.Logger.Warn("resolution refused", "op", id, "fence", res.Fence, "ending", res.Ending, "by", res.By, "why", p.Code)
		return nil, p
	}
	return describe(id, &record), nil
}

// audited reports what is missing of who, why and what.
func audited(fence uint64, reason, by string) error {
	switch {
	case reason == "" || len(reason) > maxWords:
		return unfit("reason must say why, in 1 to %d characters; it goes to the log", maxWords)
	case by == "" || len(by) > maxWords:
		return unfit("by must say who it is, in 1 to %d characters; it goes to the log", maxWords)
	case fence == 0:
		return unfit("fence is missing: the number of the claim that you looked at")
	}
	return nil
}

func unfit(format string, args ...any) error {
	return problem(http.StatusBadRequest, "bad-resolution", format, args...)
}

func (s *Resolution) resolution() (refrain.Resolution, error) {
	res := refrain.Resolution{Fence: s.Fence, By: s.By, Reason: s.Reason}
	if err := audited(s.Fence, s.Reason, s.By); err != nil {
		return res, err
	}
	answered := s.Status != 0 || len(s.Headers) > 0 || s.Body != "" || s.Binary != nil
	switch {
	case s.Outcome == DidNotHappen && answered:
		return res, unfit("what did not happen has no answer; remove status, headers and body")
	case s.Outcome == DidNotHappen:
		res.Ending = refrain.Released
		return res, nil
	case s.Outcome != Happened:
		return res, unfit("outcome must be %s or %s", Happened, DidNotHappen)
	}
	res.Ending = refrain.Finished
	o, err := s.answer(answered)
	res.Outcome = o
	return res, err
}

// answer returns what retries get: the answer, or only word that it is done.
func (s *Resolution) answer(answered bool) (refrain.Outcome, error) {
	if !answered {
		return refrain.Outcome{Omitted: true}, nil
	}
	if s.Body != "" && s.Binary != nil {
		return refrain.Outcome{}, unfit("body and body_base64 are both given; send one")
	}
	body := s.Binary
	if s.Body != "" {
		body = []byte(s.Body)
	}
	h, err := header(s.Headers)
	if err != nil {
		return refrain.Outcome{}, unfit("%s", err)
	}
	o, err := refrainhttp.NewOutcome(s.Status, h, body)
	if err != nil {
		return o, unfit("%s", err)
	}
	return o, nil
}
