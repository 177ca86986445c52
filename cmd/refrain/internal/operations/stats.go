package operations

import (
	"net/http"

	"github.com/refrain-dev/refrain"
)

// stats counts the operations. It reads all of them.
func (h *handler) stats(r *http.Request) (any, error) {
	var s Stats
	if w, ok := h.Store.(refrain.Walker); ok {
		err := w.Walk(r.Context(), func(l refrain.Listed) {
			if !l.Record.IsMark() {
				s.count(&l.Record)
			}
		})
		return s, err
	}
	for l, err := range h.listed(r.Context(), refrain.ListQuery{Limit: maxLimit}) {
		if err != nil {
			return nil, err
		}
		s.count(&l.Record)
	}
	return s, nil
}

func (s *Stats) count(r *refrain.Record) {
	switch r.State {
	case refrain.StateRunning:
		s.Running++
	case refrain.StateUnknown:
		s.Unknown++
		if created := r.Created.UTC(); !created.IsZero() && (s.Oldest.IsZero() || created.Before(s.Oldest)) {
			s.Oldest = created
		}
	case refrain.StateDone:
		s.Done++
	case refrain.StateExpired:
		s.Expired++
	case refrain.StateAbsent:
	}
}
