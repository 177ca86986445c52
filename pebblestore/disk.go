package pebblestore

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A disk is the file system under Pebble, with two manners that Pebble lacks.
//
// It waits for room: an operation that finds the disk full is tried again until there is room. Pebble would give up the
// write-ahead log at the first such error, and would try flushes and compactions again without a pause.
//
// It stops at a fault: a sync that fails is a fault of the whole store, and after a fault no operation changes anything,
// whatever Pebble still tries. Such operations do not return, and with them the goroutines of Pebble come to rest.
type disk struct {
	vfs.FS
	fault   *fault
	starved atomic.Int64  // operations that wait for room
	full    chan struct{} // signals that the first of them began to wait
	hurried chan struct{} // closed when nothing may wait any more
}

// retryPause is how long an operation that found no room waits before it tries again.
const retryPause = 50 * time.Millisecond

func newDisk(fs vfs.FS, f *fault) *disk {
	return &disk{FS: fs, fault: f, full: make(chan struct{}, 1), hurried: make(chan struct{})}
}

// change does one operation that changes the disk.
func (d *disk) change(op func() error) error {
	for {
		if d.fault.Err() != nil {
			select {} // see disk
		}
		err := op()
		if !vfs.IsNoSpaceError(err) || !d.awaitRoom() {
			return err
		}
	}
}

// awaitRoom pauses an operation that found no room, and reports whether to try it again.
func (d *disk) awaitRoom() bool {
	d.starved.Add(1)
	defer d.starved.Add(-1)
	select {
	case d.full <- struct{}{}:
	default:
	}
	pause := time.NewTimer(retryPause)
	defer pause.Stop()
	select {
	case <-pause.C:
		return true
	case <-d.fault.dead:
		return true
	case <-d.hurried:
		return false
	}
}

// create does an operation that makes a file.
func (d *disk) create(name string, op func() (vfs.File, error)) (made vfs.File, err error) {
	err = d.change(func() error {
		f, err := op()
		if err == nil {
			made = &file{File: f, disk: d, name: name}
		}
		return err
	})
	return made, err
}

func (d *disk) Unwrap() vfs.FS { return d.FS }

func (d *disk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return d.create(name, func() (vfs.File, error) { return d.FS.Create(name, category) })
}

func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.create(name, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, opts...) })
}

func (d *disk) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return d.create(newname, func() (vfs.File, error) { return d.FS.ReuseForWrite(oldname, newname, category) })
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &file{File: f, disk: d, name: name}, nil
}

func (d *disk) Link(oldname, newname string) error {
	return d.change(func() error { return d.FS.Link(oldname, newname) })
}

func (d *disk) Rename(oldname, newname string) error {
	return d.change(func() error { return d.FS.Rename(oldname, newname) })
}

func (d *disk) MkdirAll(dir string, perm os.FileMode) error {
	return d.change(func() error { return d.FS.MkdirAll(dir, perm) })
}

func (d *disk) Remove(name string) error { return d.change(func() error { return d.FS.Remove(name) }) }

func (d *disk) RemoveAll(name string) error {
	return d.change(func() error { return d.FS.RemoveAll(name) })
}

// Lock does nothing: the store itself locks the directory, because it outlives a Pebble that had to be abandoned.
func (d *disk) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// A file is a file or directory of a disk.
type file struct {
	vfs.File
	disk *disk
	name string
}

func (f *file) Write(p []byte) (n int, err error) {
	err = f.disk.change(func() error {
		m, err := f.File.Write(p[n:])
		n += m
		return err
	})
	return n, err
}

func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.disk.change(func() error {
		m, err := f.File.WriteAt(p[n:], off+int64(n))
		n += m
		return err
	})
	return n, err
}

func (f *file) Preallocate(offset, length int64) error {
	if f.disk.fault.Err() != nil {
		return f.disk.fault.Err()
	}
	return f.File.Preallocate(offset, length) // to reserve room is a favour: it does not wait
}

func (f *file) Sync() error { return f.sync(f.File.Sync) }

func (f *file) SyncData() error { return f.sync(f.File.SyncData) }

func (f *file) SyncTo(length int64) (full bool, err error) {
	err = f.sync(func() error {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

// sync does one sync. It is never tried again: the second try of a failed sync may succeed and mean nothing. If there was
// no room, the file is lost but the store is not, unless it was a file that Pebble cannot do without.
func (f *file) sync(op func() error) error {
	if f.disk.fault.Err() != nil {
		select {} // see disk
	}
	err := op()
	if vfs.IsNoSpaceError(err) {
		f.disk.awaitRoom()
		return err
	}
	if err != nil {
		return f.disk.fault.fail(fmt.Errorf("syncing %s: %w", f.name, err))
	}
	return nil
}
