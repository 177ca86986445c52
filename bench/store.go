package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/pebblestore"
)

// goroutines is how many operations the store has at a time.
const goroutines = 256

// store compares claim and finish in the embedded store with what the disk allows: appending the same bytes to a file and
// syncing it, with as many waiting for each sync as there are.
func (b *bench) store(ctx context.Context) ([]result, error) {
	s, err := pebblestore.Open(filepath.Join(b.dir, "store"), pebblestore.Config{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	l, err := newAppendLog(filepath.Join(b.dir, "append"))
	if err != nil {
		return nil, err
	}
	defer l.close()
	parties := [2]side{
		{"Refrain", func() (float64, error) {
			return together(goroutines, b.plan.turn(), func() error { return execute(ctx, s) })
		}},
		{"append and fdatasync", func() (float64, error) { return together(goroutines, b.plan.turn(), l.execute) }},
	}
	const what = "the embedded store alone, claim and finish, 512 B, 256 at a time"
	got, err := warmDuel(what, b.plan.rounds, parties[0], parties[1])
	if err != nil {
		return nil, err
	}
	return []result{atLeast(0.8, what, "/s", got, parties[1].name)}, nil
}

// together runs op again and again in so many goroutines, and returns how often a second.
func together(n int, d time.Duration, op func() error) (float64, error) {
	until := during(d)
	var group sync.WaitGroup
	var mu sync.Mutex
	var all int
	var failed error
	start := time.Now()
	for range n {
		group.Go(func() {
			done, err := 0, error(nil)
			for err == nil && until() {
				if err = op(); err == nil {
					done++
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all += done
			if err != nil {
				failed = err
			}
		})
	}
	group.Wait()
	return float64(all) / time.Since(start).Seconds(), failed
}

// finish ends the claim with an outcome of 512 bytes.
func finish(c *refrain.Claim) refrain.Settlement {
	o := refrain.Outcome{Status: 201, Meta: bytes.Repeat([]byte("m"), 112), Body: bytes.Repeat([]byte("b"), 400)}
	return refrain.Settlement{
		ID: c.ID, Token: c.Token, Ending: refrain.Finished, Outcome: &o,
		Retention: 24 * time.Hour, Tombstone: 7 * 24 * time.Hour,
	}
}

// execute claims a new operation and finishes it.
func execute(ctx context.Context, s refrain.Store) error {
	c := newClaim()
	d, err := s.Claim(ctx, c)
	if err != nil {
		return err
	}
	if d.Verdict != refrain.Run {
		return fmt.Errorf("a new operation got the verdict %s", d.Verdict)
	}
	_, err = s.Settle(ctx, finish(&c))
	return err
}

func newClaim() refrain.Claim {
	c := refrain.Claim{Token: refrain.NewToken(), Lease: time.Minute}
	_, _ = rand.Read(c.ID[:]) // never fails since Go 1.24
	return c
}

// An appendLog is a file that many append to; those who wait at the same time share one fdatasync.
type appendLog struct {
	file *os.File
	wake chan struct{} // holds one: there is something to write

	mu    sync.Mutex
	bytes []byte // to be written
	group *group
	done  chan struct{}
}

// A group shares a sync.
type group struct {
	synced chan struct{}
	err    error
}

func newGroup() *group { return &group{synced: make(chan struct{})} }

func newAppendLog(path string) (*appendLog, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	l := &appendLog{file: f, wake: make(chan struct{}, 1), group: newGroup(), done: make(chan struct{})}
	go l.commit()
	return l, nil
}

func (l *appendLog) close() {
	close(l.wake)
	<-l.done
	_ = l.file.Close()
}

// execute appends the bytes of a claim and then those of its finish.
func (l *appendLog) execute() error {
	c := newClaim()
	now := time.Now()
	d, _ := c.Apply(refrain.Record{}, now, 1)
	if err := l.append(c.ID, d.Record); err != nil {
		return err
	}
	next, _, err := finish(&c).Apply(d.Record, now)
	if err != nil {
		return err
	}
	return l.append(c.ID, next)
}

// append returns when the record is on the disk.
func (l *appendLog) append(id refrain.ID, r refrain.Record) error {
	l.mu.Lock()
	l.bytes = append(l.bytes, id[:]...)
	l.bytes = refrain.AppendRecord(l.bytes, id, r)
	g := l.group
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	<-g.synced
	return g.err
}

func (l *appendLog) commit() {
	defer close(l.done)
	var spare []byte
	for range l.wake {
		l.mu.Lock()
		b, g := l.bytes, l.group
		l.bytes, l.group = spare[:0], newGroup()
		l.mu.Unlock()
		if len(b) > 0 {
			if _, g.err = l.file.Write(b); g.err == nil {
				g.err = fdatasync(l.file)
			}
		}
		close(g.synced)
		spare = b
	}
}
