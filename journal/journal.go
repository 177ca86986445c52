// Package journal keeps on the local disk the endings of operations that a store could not take, until it can.
//
// The journal is one append-only file. Every entry is synced before Append returns; when the last entry has been removed
// the file is emptied.
package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/refrain-dev/refrain"
)

// maxBytes bounds the file. Beyond it Append refuses, and the endings stay in the guard's memory only.
const maxBytes = 256 << 20

// ErrDamaged says that the file is damaged before its end. Entries behind the damage cannot be read; move the file away to
// start without them, and look into it for what they were.
var ErrDamaged = errors.New("journal is damaged")

// ErrInUse says that another journal is open on the same file, of this process or another.
var ErrInUse = errors.New("in use by another process; give each a folder of its own")

// A Journal implements refrain.Journal. It belongs to one Guard at a time.
type Journal struct {
	file    *os.File
	size    int64
	entries []refrain.JournalEntry // in order; those that were removed are zero
	place   map[name]int           // of each entry that is kept
	broken  error                  // after a failed sync nobody knows what the disk holds
}

// A name tells entries apart.
type name struct {
	id    refrain.ID
	token refrain.Token
}

func nameOf(e *refrain.JournalEntry) name { return name{e.ID, e.Record.Token} }

var _ refrain.Journal = (*Journal)(nil)

// Open opens or creates the journal in the folder dir. A last entry that was cut short, as by a crash while it was
// written, is dropped: nobody was told that it was kept. Any other damage is ErrDamaged, and
// a journal that is open already is ErrInUse.
func Open(dir string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the journal's folder: %w", err)
	}
	path := filepath.Join(dir, "outcomes.journal")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	j := &Journal{file: file, place: make(map[name]int)}
	err = lock(file)
	if err == nil {
		err = j.load()
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return j, syncDir(dir)
}

func (j *Journal) load() error {
	data, err := os.ReadFile(j.file.Name())
	if err != nil {
		return err
	}
	for rest := data; len(rest) > 0; {
		f, n, err := decodeFrame(rest)
		if errors.Is(err, errTorn) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w at byte %d: %w", ErrDamaged, j.size, err)
		}
		j.apply(f)
		rest = rest[n:]
		j.size += int64(n)
	}
	return j.file.Truncate(j.size)
}

func (j *Journal) apply(f frame) {
	if f.kind == kindAppend {
		j.keep(f.entry)
	} else {
		j.forget(nameOf(&f.entry))
	}
}

func (j *Journal) keep(e refrain.JournalEntry) {
	j.place[nameOf(&e)] = len(j.entries)
	j.entries = append(j.entries, e)
}

func (j *Journal) forget(n name) {
	if i, kept := j.place[n]; kept {
		j.entries[i] = refrain.JournalEntry{}
		delete(j.place, n)
	}
}

// Append implements refrain.Journal.
func (j *Journal) Append(e refrain.JournalEntry) error {
	err := j.write(encodeFrame(frame{kind: kindAppend, entry: e}))
	if err == nil {
		err = j.sync()
	}
	if err != nil {
		return fmt.Errorf("appending to the journal: %w", err)
	}
	j.keep(e)
	return nil
}

// Remove implements refrain.Journal. Removing what is not there does nothing. It is not synced: an entry that a crash brings
// back is settled once more, which changes nothing.
func (j *Journal) Remove(id refrain.ID, token refrain.Token) error {
	n := name{id, token}
	if _, kept := j.place[n]; !kept {
		return nil
	}
	j.forget(n)
	if len(j.place) == 0 && j.broken == nil {
		j.size, j.entries = 0, nil
		return j.file.Truncate(0)
	}
	gone := refrain.JournalEntry{ID: id, Record: refrain.Record{State: refrain.StateUnknown, Token: token}}
	if err := j.write(encodeFrame(frame{kind: kindRemove, entry: gone})); err != nil {
		return fmt.Errorf("removing from the journal: %w", err)
	}
	return nil
}

// Entries implements refrain.Journal.
func (j *Journal) Entries() ([]refrain.JournalEntry, error) {
	var kept []refrain.JournalEntry
	for _, e := range j.entries {
		if _, ok := j.place[nameOf(&e)]; ok {
			kept = append(kept, e)
		}
	}
	return kept, nil
}

// Close closes the file.
func (j *Journal) Close() error {
	if err := j.file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("closing the journal: %w", err)
	}
	return nil
}

// write appends. What a failed write left behind is cut off again.
func (j *Journal) write(b []byte) error {
	if j.broken != nil {
		return j.broken
	}
	if j.size+int64(len(b)) > maxBytes {
		return fmt.Errorf("it has grown to %d bytes", j.size)
	}
	if _, err := j.file.WriteAt(b, j.size); err != nil {
		j.broken = j.file.Truncate(j.size)
		return err
	}
	j.size += int64(len(b))
	return nil
}

// sync makes what was appended durable. After a failure nothing is written any more, for a later sync could succeed without
// the lost pages.
func (j *Journal) sync() error {
	err := j.file.Sync()
	if err != nil {
		j.broken = fmt.Errorf("a sync went wrong earlier: %w", err)
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
