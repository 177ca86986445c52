// Package audit looks at what an embedded store's durability rests on: its directory, file system, disk and lock. It
// changes nothing that a running process uses.
package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/internal/machine"
)

// An inspector collects findings.
type inspector struct{ findings []refrain.Remark }

func (in *inspector) say(grade refrain.Grade, subject, format string, args ...any) {
	in.findings = append(in.findings, refrain.Remark{Grade: grade, Subject: subject, Text: fmt.Sprintf(format, args...)})
}

// Store returns what it finds out about the store that the URL names.
func Store(url config.Store) []refrain.Remark {
	in := &inspector{}
	if url.Scheme == "memory" {
		in.say(refrain.GradeWarn, "durability",
			"tier volatile: a restart forgets every operation, and retries run again; for trials only")
		return in.findings
	}
	dir := in.directory(url.Dir)
	if dir == "" {
		return in.findings
	}
	in.fileSystem(dir)
	in.room(dir)
	in.syncs(dir)
	if dir != url.Dir {
		return in.findings
	}
	in.secret(dir)
	in.lock(filepath.Join(dir, "store", "LOCK"))
	return in.findings
}

// directory returns the store's directory or, when it is yet to be made, the one that it will be made in; "" when there
// cannot be one.
func (in *inspector) directory(dir string) string {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		parent := existing(dir)
		in.say(refrain.GradeOK, "directory", "%s is made when the store is first opened, in %s", dir, parent)
		return parent
	case err != nil:
		in.say(refrain.GradeFault, "directory", "%v", err)
		return ""
	case !info.IsDir():
		in.say(refrain.GradeFault, "directory", "%s is not a directory", dir)
		return ""
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		in.say(refrain.GradeWarn, "directory", "%s can be written by others (mode %#o); chmod 700 it", dir, mode)
	} else {
		in.say(refrain.GradeOK, "directory", "%s", dir)
	}
	return dir
}

// existing returns the closest directory above dir that is there.
func existing(dir string) string {
	dir = filepath.Clean(dir)
	for {
		parent := filepath.Dir(dir)
		if _, err := os.Stat(parent); err == nil || parent == dir {
			return parent
		}
		dir = parent
	}
}

const (
	minFree  = 128 << 20 // below it the store refuses new claims
	goodFree = 1 << 30
)

func (in *inspector) fileSystem(dir string) {
	const subject = "file system"
	switch f, err := machine.FileSystemOf(dir); {
	case err != nil:
		in.say(refrain.GradeWarn, subject, "cannot be told: %v", err)
	case f.Trouble != "":
		in.say(refrain.GradeWarn, subject, "%s: %s", f.Name, f.Trouble)
	default:
		in.say(refrain.GradeOK, subject, "%s", f.Name)
	}
}

func (in *inspector) room(dir string) {
	free, err := freeBytes(dir)
	mib := free >> 20
	switch {
	case err != nil:
		in.say(refrain.GradeWarn, "free space", "cannot be told: %v", err)
	case free < minFree:
		in.say(refrain.GradeFault, "free space", "%d MiB; below %d MiB new operations are refused with 503", mib, minFree>>20)
	case free < goodFree:
		in.say(refrain.GradeWarn, "free space", "%d MiB; below %d MiB new operations are refused with 503", mib, minFree>>20)
	default:
		in.say(refrain.GradeOK, "free space", "%d MiB", mib)
	}
}

const (
	syncRounds = 32
	slowSync   = 20 * time.Millisecond
)

// syncs writes a little file, again and again, as the write-ahead log is written.
func (in *inspector) syncs(dir string) {
	took, err := timeSyncs(dir)
	if err != nil {
		in.say(refrain.GradeFault, "sync", "%v", err)
		return
	}
	slices.Sort(took)
	median, worst := took[len(took)/2], took[len(took)-1]
	text := fmt.Sprintf("works; median %s, worst %s of %d", median.Round(time.Microsecond), worst.Round(time.Microsecond),
		len(took))
	switch {
	case median > slowSync:
		in.say(refrain.GradeWarn, "sync", "%s: slow, and every first execution waits for two", text)
	case worst < 5*time.Microsecond:
		in.say(refrain.GradeWarn, "sync", "%s: too fast for a disk; does it really keep what is synced?", text)
	default:
		in.say(refrain.GradeOK, "sync", "%s", text)
	}
}

func timeSyncs(dir string) (took []time.Duration, err error) {
	f, err := os.CreateTemp(dir, "check.*.tmp")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, 4096)
	for range syncRounds {
		start := time.Now()
		if _, err := f.Write(block); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, fmt.Errorf("nothing would be durable: %w", err)
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}

func (in *inspector) secret(dir string) {
	name := filepath.Join(dir, "secret")
	info, err := os.Stat(name)
	_, storeErr := os.Stat(filepath.Join(dir, "store"))
	switch {
	case errors.Is(err, fs.ErrNotExist) && storeErr == nil:
		in.say(refrain.GradeFault, "secret", "%s is gone; without it every recorded operation would run again", name)
	case errors.Is(err, fs.ErrNotExist):
		in.say(refrain.GradeOK, "secret", "is made with the store")
	case err != nil:
		in.say(refrain.GradeFault, "secret", "%v", err)
	case info.Mode().Perm()&0o077 != 0:
		in.say(refrain.GradeWarn, "secret", "%s can be read by others (mode %#o); chmod 600 it", name, info.Mode().Perm())
	default:
		in.say(refrain.GradeOK, "secret", "%s, for its owner only", name)
	}
}

func (in *inspector) lock(name string) {
	switch held, pid, err := locked(name); {
	case errors.Is(err, fs.ErrNotExist):
		in.say(refrain.GradeOK, "lock", "free: there is no store yet")
	case err != nil:
		in.say(refrain.GradeWarn, "lock", "cannot be told: %v", err)
	case held:
		in.say(refrain.GradeWarn, "lock",
			"held by process %d: if that is refrain at work, all is well; a second one would not start", pid)
	default:
		in.say(refrain.GradeOK, "lock", "free")
	}
}
