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
