package operations

import (
	"context"
	"encoding/hex"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/refrain-dev/refrain"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
	// shortestName is how many digits of an ID logs show.
	shortestName = 16
)

func (h *handler) list(r *http.Request) (any, error) {
	q, err := newQuery(r.URL.Query())
	if err != nil {
		return nil, err
	}
	limit := q.Limit
	q.Limit++ // tells whether there are more
	page := Page{Operations: []Operation{}}
	for l, err := range h.listed(r.Context(), q) {
		switch n := len(page.Operations); {
		case err != nil:
			return nil, err
		case n == limit:
			page.Next = page.Operations[n-1].ID
			return page, nil
		}
		page.Operations = append(page.Operations, describe(l.ID, &l.Record))
	}
	return page, nil
}

// listed goes through all operations that the query asks for, from its first one on, and as many at a time as its limit says. The
// marks of sequences are none.
func (h *handler) listed(ctx context.Context, q refrain.ListQuery) iter.Seq2[*refrain.Listed, error] {
	return func(yield func(*refrain.Listed, error) bool) {
		lister, err := h.lister()
		for err == nil {
			var page []refrain.Listed
			if page, err = lister.List(ctx, q); err != nil {
				break
			}
			for i := range page {
				if !page[i].Record.IsMark() && !yield(&page[i], nil) {
					return
				}
			}
			if len(page) < q.Limit {
				return
			}
			q.From = next(page[len(page)-1].ID)
		}
		yield(nil, err)
	}
}

func (h *handler) lister() (refrain.Lister, error) {
	if l, ok := h.Store.(refrain.Lister); ok {
		return l, nil
	}
	return nil, problem(http.StatusNotImplemented, "no-list", "this store cannot list; name an operation by all digits of its ID")
}

// newQuery reads the parameters state, limit and after.
func newQuery(v url.Values) (q refrain.ListQuery, err error) {
	q.Limit = defaultLimit
	if text := v.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > maxLimit {
			return q, problem(http.StatusBadRequest, "bad-limit", "limit must be a number from 1 to %d", maxLimit)
		}
	}
	if q.State, err = parseState(v.Get("state")); err != nil {
		return q, err
	}
	if text := v.Get("after"); text != "" {
		id, err := parseID(text)
		if err != nil {
			return q, err
		}
		q.From = next(id)
	}
	return q, nil
}

// parseState returns StateAbsent for any state.
func parseState(text string) (refrain.State, error) {
	if text == "" || text == "all" {
		return refrain.StateAbsent, nil
	}
	for s := refrain.StateRunning; s <= refrain.StateExpired; s++ {
		if s.String() == text {
			return s, nil
		}
	}
	return 0, problem(http.StatusBadRequest, "bad-state", "%q is not a state; use running, unknown, done, expired or all", text)
}

// next returns the ID behind another one.
func next(id refrain.ID) refrain.ID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			break
		}
	}
	return id
}

func parseID(text string) (id refrain.ID, err error) {
	if len(text) != hex.EncodedLen(len(id)) {
		return id, badID()
	}
	if _, err := hex.Decode(id[:], []byte(text)); err != nil {
		return id, badID()
	}
	return id, nil
}

func badID() error {
	return problem(http.StatusBadRequest, "bad-id", "an ID has %d hexadecimal digits, of which the first %d will do",
		2*len(refrain.ID{}), shortestName)
}

// find returns the operation that has the name: its ID, or so much of its beginning that it is the only one.
func (h *handler) find(ctx context.Context, name string) (refrain.ID, error) {
	name = strings.ToLower(name)
	if id, err := parseID(name); err == nil {
		return id, nil
	}
	if len(name) < shortestName || len(name) > 2*len(refrain.ID{}) {
		return refrain.ID{}, badID()
	}
	first, err := parseID(name + strings.Repeat("0", 2*len(refrain.ID{})-len(name)))
	if err != nil {
		return first, err
	}
	lister, err := h.lister()
	if err != nil {
		return first, err
	}
	all, err := lister.List(ctx, refrain.ListQuery{From: first, Limit: 2})
	switch {
	case err != nil:
		return first, err
	case len(all) == 0 || !hasName(all[0].ID, name):
		return first, refrain.ErrAbsent
	case len(all) == 2 && hasName(all[1].ID, name):
		return first, problem(http.StatusConflict, "ambiguous", "two operations begin like that; give more digits of the ID")
	}
	return all[0].ID, nil
}

func hasName(id refrain.ID, name string) bool {
	return strings.HasPrefix(hex.EncodeToString(id[:]), name)
}
