package refrain

// Busy returns how many operations the guard's duplicates could join, and whether it brings endings to the store. Both are
// nothing once a guard is closed and its attempts have ended.
func (g *Guard) Busy() (flights int, draining bool) {
	for i := range g.flights.shards {
		sh := &g.flights.shards[i]
		sh.mu.Lock()
		flights += len(sh.byID)
		sh.mu.Unlock()
	}
	g.backlog.mu.Lock()
	defer g.backlog.mu.Unlock()
	return flights, g.backlog.draining != nil
}

// MaxProbed is how many operations that were probed in vain are remembered.
const MaxProbed = maxProbed

// Probed returns how many there are.
func (g *Guard) Probed() int {
	g.probes.mu.Lock()
	defer g.probes.mu.Unlock()
	return g.probes.order.Len()
}

// MarkBytes returns how long the scopes are whose marks are remembered.
func (g *Guard) MarkBytes() (n int) {
	g.marks.mu.Lock()
	defer g.marks.mu.Unlock()
	for s := range g.marks.seen {
		n += len(s.Principal) + len(s.Route)
	}
	return n
}
