package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/refrain-dev/refrain"
)

// A syncLog takes records from many; those who wait at the same time share one sync.
type syncLog struct {
	wake chan struct{} // holds one: there is something to write
	done chan struct{}
	free func() error

	mu             sync.Mutex
	filling, spare batch
	group          *group
}

// A batch of records is made durable as a whole, and is empty then.
type batch interface {
	add(id refrain.ID, r refrain.Record)
	commit() error
}

// A group shares a sync.
type group struct {
	synced chan struct{}
	err    error
}

func newGroup() *group { return &group{synced: make(chan struct{})} }

func newSyncLog(a, b batch, free func() error) *syncLog {
	l := &syncLog{
		wake: make(chan struct{}, 1), done: make(chan struct{}), free: free, filling: a, spare: b, group: newGroup(),
	}
	go l.commit()
	return l
}

func (l *syncLog) close() {
	close(l.wake)
	<-l.done
	_ = l.free()
}

// execute writes a claim and then its finish.
func (l *syncLog) execute() error {
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
func (l *syncLog) append(id refrain.ID, r refrain.Record) error {
	l.mu.Lock()
	l.filling.add(id, r)
	g := l.group
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	<-g.synced
	return g.err
}

func (l *syncLog) commit() {
	defer close(l.done)
	for range l.wake {
		l.mu.Lock()
		full, g := l.filling, l.group
		l.filling, l.spare, l.group = l.spare, full, newGroup()
		l.mu.Unlock()
		g.err = full.commit()
		close(g.synced)
	}
}

// A fileBatch is appended to a file.
type fileBatch struct {
	file  *os.File
	bytes []byte
}

func newAppendLog(path string) (*syncLog, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return newSyncLog(&fileBatch{file: f}, &fileBatch{file: f}, f.Close), nil
}

func (b *fileBatch) add(id refrain.ID, r refrain.Record) {
	b.bytes = append(b.bytes, id[:]...)
	b.bytes = refrain.AppendRecord(b.bytes, id, r)
}

func (b *fileBatch) commit() error {
	if len(b.bytes) == 0 {
		return nil
	}
	_, err := b.file.Write(b.bytes)
	b.bytes = b.bytes[:0]
	if err != nil {
		return err
	}
	return fdatasync(b.file)
}

// A pebbleBatch is written to Pebble.
type pebbleBatch struct {
	*pebble.Batch
	record []byte
}

// newPebbleLog opens Pebble with what makes writes cheap: large memtables, and tables that are merged late.
func newPebbleLog(dir string) (*syncLog, error) {
	db, err := pebble.Open(dir, &pebble.Options{
		Logger: quietLogger{}, MemTableSize: 16 << 20, MemTableStopWritesThreshold: 4,
		L0CompactionThreshold: 20, L0StopWritesThreshold: 1000,
	})
	if err != nil {
		return nil, err
	}
	return newSyncLog(&pebbleBatch{Batch: db.NewBatch()}, &pebbleBatch{Batch: db.NewBatch()}, db.Close), nil
}

func (b *pebbleBatch) add(id refrain.ID, r refrain.Record) {
	b.record = refrain.AppendRecord(b.record[:0], id, r)
	_ = b.Set(id[:], b.record, nil) // fails only for a batch that is committed
}

func (b *pebbleBatch) commit() error {
	if b.Empty() {
		return nil
	}
	err := b.Commit(pebble.Sync)
	b.Reset()
	return err
}

// A quietLogger is Pebble's, which is otherwise the standard one.
type quietLogger struct{}

func (quietLogger) Infof(string, ...any)  {}
func (quietLogger) Errorf(string, ...any) {}

// Fatalf is called when Pebble cannot go on.
func (quietLogger) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
