package refrainhttp

import "sync"

// A buffer is memory that is used again. Nothing that outlives its request may share it.
type buffer struct{ b []byte }

// maxPooled bounds what an idle buffer may hold on to.
const maxPooled = 256 << 10

// buffers is a pool of them.
type buffers struct{ pool sync.Pool }

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
