package refrain

// A Watcher is a Store that can tell when an operation ends that another process works on. An attempt that waits for it then
// asks at once; without, or if the store does not tell, it asks twice a second. Nothing else rests on what is told.
type Watcher interface {
	// Watch returns a channel that is closed soon after the operation has ended, by any settlement, if that was after a Claim of
	// this process was told that it is in flight. A nil channel says that the store cannot tell. It returns at once; stop ends
	// the watch and must be called.
	Watch(id ID) (ended <-chan struct{}, stop func())
}

// watch watches an operation if the store can.
func (g *Guard) watch(id ID) (ended <-chan struct{}, stop func()) {
	if w, ok := g.store.(Watcher); ok {
		return w.Watch(id)
	}
	return nil, func() {}
}
