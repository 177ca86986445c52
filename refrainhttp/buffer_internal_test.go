package refrainhttp

import "testing"

// What one large request took is not held on to for small ones, whatever it took it for.
func TestIdleWorkspacesAreSmall(t *testing.T) {
	t.Parallel()
	for about, grow := range map[string]func(*workspace, []byte){
		"digest":    func(w *workspace, b []byte) { w.b = b },
		"key":       func(w *workspace, b []byte) { w.key = b },
		"answer":    func(w *workspace, b []byte) { w.text = b },
		"sorting":   func(w *workspace, b []byte) { w.json.moved = b },
		"finding":   func(w *workspace, b []byte) { w.json.kept = b },
		"canonical": func(w *workspace, b []byte) { w.request.canonical = b },
	} {
		var p buffers
		for range 20 { // a pool forgets what it likes
			w := p.workspace()
			if held := cap(w.b) + cap(w.key) + cap(w.text) + cap(w.json.moved) + cap(w.json.kept) + cap(w.request.canonical); held > maxPooled {
				t.Fatalf("%s: a workspace of the pool has %d bytes", about, held)
			}
			grow(w, make([]byte, maxPooled+1))
			p.putWorkspace(w)
		}
	}
}
