package pebblestore

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A disk is the file system under Pebble, with two manners that Pebble lacks.
//
// It waits for room: an operation that finds the disk full is tried again until there is room. Pebble would give up the
// write-ahead log at the first such error, and would try flushes and compactions again without a pause.
//
// It stops at a fault: any other failure to write is a fault of the whole store, and so is any failure to sync. Such an
// operation does not return, nor does any later one that changes the disk, and with them the goroutines of Pebble come to
// rest. Pebble would go on after some failures, acknowledge what is not there after others, and end the process after the
// rest.
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

// write does one operation that writes the file or directory of that name.
func (d *disk) write(what, name string, op func() error) error {
	for {
		d.stopAtFault()
		err := op()
		switch {
		case err == nil:
			return nil
		case vfs.IsNoSpaceError(err) && d.awaitRoom():
			continue
		}
		return d.failed(what, name, err)
	}
}

// sync does one sync. It is never tried again: the second try of a failed sync may succeed and mean nothing.
func (d *disk) sync(name string, op func() error) error {
	d.stopAtFault()
	err := op()
	if err == nil {
		return nil
	}
	if vfs.IsNoSpaceError(err) {
		d.awaitRoom()
	}
	return d.failed("syncing", name, err)
}

// failed makes the failure a fault, but for a table that there was no room for: Pebble writes it again.
func (d *disk) failed(what, name string, err error) error {
	if vfs.IsNoSpaceError(err) && strings.HasSuffix(name, tableSuffix) {
		return err
	}
	_ = d.fault.fail(fmt.Errorf("%s %s: %w", what, name, err))
	d.stopAtFault()
	return err
}

// stopAtFault does not return after a fault.
func (d *disk) stopAtFault() {
	if d.fault.Err() != nil {
		select {}
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
	err = d.write("creating", name, func() error {
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
	return d.write("linking", newname, func() error { return d.FS.Link(oldname, newname) })
}

func (d *disk) Rename(oldname, newname string) error {
	return d.write("renaming", newname, func() error { return d.FS.Rename(oldname, newname) })
}

func (d *disk) MkdirAll(dir string, perm os.FileMode) error {
	return d.write("making", dir, func() error { return d.FS.MkdirAll(dir, perm) })
}

// Remove may fail: Pebble tries again at the next start.
func (d *disk) Remove(name string) error {
	d.stopAtFault()
	return d.FS.Remove(name)
}

func (d *disk) RemoveAll(name string) error {
	d.stopAtFault()
	return d.FS.RemoveAll(name)
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
	err = f.disk.write("writing", f.name, func() error {
		m, err := f.File.Write(p[n:])
		n += m
		return err
	})
	return n, err
}

func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.disk.write("writing", f.name, func() error {
		m, err := f.File.WriteAt(p[n:], off+int64(n))
		n += m
		return err
	})
	return n, err
}

// Preallocate may fail: to reserve room is a favour.
func (f *file) Preallocate(offset, length int64) error {
	f.disk.stopAtFault()
	return f.File.Preallocate(offset, length)
}

func (f *file) Sync() error { return f.disk.sync(f.name, f.File.Sync) }

func (f *file) SyncData() error { return f.disk.sync(f.name, f.File.SyncData) }

func (f *file) SyncTo(length int64) (full bool, err error) {
	err = f.disk.sync(f.name, func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}
