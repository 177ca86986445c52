package sidecar

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
)

// keptLines is how many lines of the proxy's log are kept to explain a failure.
const keptLines = 20

// bound finds the addresses in the line that the proxy logs once it listens, be it text or JSON.
var bound = regexp.MustCompile(`\blisten"?[=:]"?([^\s",]+).*\badmin"?[=:]"?([^\s",]+)`)

// A log reads what the proxy logs: the addresses it listens on, and the last lines.
type log struct {
	listening chan struct{} // closed when the addresses are known

	mu            sync.Mutex
	partial       []byte
	lines         []string
	listen, admin string
}

func newLog() *log { return &log{listening: make(chan struct{})} }

// Write implements io.Writer.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	for {
		line, rest, found := bytes.Cut(l.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.add(string(line))
		l.partial = bytes.Clone(rest)
	}
}

func (l *log) add(line string) {
	l.lines = append(l.lines, line)
	l.lines = l.lines[max(0, len(l.lines)-keptLines):]
	if m := bound.FindStringSubmatch(line); m != nil && l.listen == "" {
		l.listen, l.admin = m[1], m[2]
		close(l.listening)
	}
}

func (l *log) addresses() (listen, admin string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listen, l.admin
}

func (l *log) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(append(l.lines, string(l.partial)), "\n")
}
