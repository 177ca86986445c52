package refrainhttp

import "sync"

// A buffer is memory that is used again. Nothing that outlives its request may share it.
type buffer struct{ b []byte }

// maxPooled bounds what an idle buffer may hold on to.
const maxPooled = 256 << 10

// A workspace is memory to compute in, used again likewise.
type workspace struct {
	b       []byte
	key     []byte // that is put together
	text    []byte // of an answer
	json    canonicaliser
	request document
	marking marking
	telling telling
}

// buffers is a pool of both.
type buffers struct{ pool, work sync.Pool }

func (p *buffers) get() *buffer {
	if b, ok := p.pool.Get().(*buffer); ok {
		return b
	}
	return &buffer{b: make([]byte, 0, 2048)}
}

func (p *buffers) put(b *buffer) {
	if cap(b.b) > maxPooled {
		return
	}
	b.b = b.b[:0]
	p.pool.Put(b)
}

func (p *buffers) workspace() *workspace {
	if w, ok := p.work.Get().(*workspace); ok {
		return w
	}
	return &workspace{b: make([]byte, 0, 2048)}
}

func (p *buffers) putWorkspace(w *workspace) {
	texts := cap(w.b) + cap(w.key) + cap(w.text) + cap(w.json.moved) + cap(w.json.kept) + cap(w.request.canonical)
	if texts+cap(w.json.members)*memberSize > maxPooled {
		return
	}
	w.marking, w.request.tree = marking{}, nil
	if w.telling.words != nil { // seldom, and it is large
		w.telling = telling{}
	}
	p.work.Put(w)
}

// memberSize is what a member takes in memory.
const memberSize = 32
