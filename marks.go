package refrain

import (
	"context"
	"strings"
	"sync"
)

// maxMarkBytes bounds the memory for marks that are remembered: a scope may be as long as a request's header. All are dropped
// when there are more: looking anew costs little.
const maxMarkBytes = 8 << 20

// marks remember where this process saw marks last, so that whether one has moved since is told by two reads.
type marks struct {
	mu    sync.Mutex
	seen  map[Scope]*sighting
	bytes int // of what is in seen
}

// A sighting is where a mark was at some moment.
type sighting struct {
	ids   [2]ID
	slot  int   // which of the records had the greatest number
	token Token // what it had
	other Token // what the other record had at that moment, zero if it was absent
	mark  uint64
}

// of returns what is remembered of a scope's mark, or nil.
func (m *marks) of(s *Scope) *sighting {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen[*s]
}

func (m *marks) keep(s *Scope, seen *sighting) {
	own := Scope{Principal: strings.Clone(s.Principal), Route: strings.Clone(s.Route)} // not with the request that it is a part of

	const overhead = 256 // with its place in the map
	size := overhead + len(own.Principal) + len(own.Route)
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.seen[own]; !known {
		m.bytes += size
	}
	if m.seen == nil || m.bytes > maxMarkBytes {
		m.seen, m.bytes = make(map[Scope]*sighting), size
	}
	m.seen[own] = seen
}

// standing returns a scope's mark and true if it is where it was seen last, and at least n.
func (g *Guard) standing(ctx context.Context, scope *Scope, n uint64) (mark uint64, ok bool, err error) {
	seen := g.marks.of(scope)
	if seen == nil || seen.mark < n || g.closed() {
		return 0, false, nil
	}
	if ok, err = seen.still(ctx, g); ok {
		mark = seen.mark
	}
	return mark, ok, err
}

// still reports whether the mark is where it was seen. No token is claimed twice: what is there again has been there all the
// time. A greater number is written into the other record, so if that is as it was, nothing is greater. If it is not, it must
// be less, and the one with the mark still be there afterwards.
func (s *sighting) still(ctx context.Context, g *Guard) (bool, error) {
	other, err := g.tokenOf(ctx, s.ids[1-s.slot])
	switch {
	case err != nil:
		return false, err
	case other == Token{}:
	case other == s.other:
		return true, nil
	case other.number() >= s.mark:
		return false, nil
	}
	own, err := g.tokenOf(ctx, s.ids[s.slot])
	return own == s.token, err
}

// tokenOf returns the token of a record that no operation has, zero if there is none.
func (g *Guard) tokenOf(ctx context.Context, id ID) (Token, error) {
	if g.tokens != nil {
		return g.tokens.PeekToken(id), nil
	}
	r, err := g.Lookup(ctx, id)
	if err == nil && r.unreadable() {
		err = errMarkUnreadable
	}
	return r.Token, err
}
