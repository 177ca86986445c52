package demo

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// A progress shows how far the demo is: a line that changes on a terminal, plain lines elsewhere.
type progress struct {
	w        io.Writer
	terminal bool

	mu   sync.Mutex
	last time.Time // when plain lines were last shown
	open bool      // a changing line is on the screen
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// say shows a line that stays.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.w, format+"\n", args...)
}

// show shows a line that the next one replaces; where that cannot be done, one a second.
func (p *progress) show(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		p.clear()
		fmt.Fprintf(p.w, format, args...)
		p.open = true
		return
	}
	if time.Since(p.last) >= time.Second {
		p.last = time.Now()
		fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *progress) clear() {
	if p.open {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.open = false
	}
}
