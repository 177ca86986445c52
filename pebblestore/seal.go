package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The names of files in the store's directory.
const (
	lockName    = "LOCK"
	sealName    = "SEAL"
	tableSuffix = ".sst"
)

// seal writes down what the files of a closed store are. Pebble checks its tables itself, but takes a damaged manifest or
// log for one that ends early, as after a crash, and would forget what comes behind.
func (s *Store) seal() error {
	text, err := s.describe()
	if err != nil {
		return err
	}
	name := s.disk.PathJoin(s.dir, sealName)
	f, err := s.disk.FS.Create(name+".tmp", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := s.disk.FS.Rename(name+".tmp", name); err != nil {
		return err
	}
	return s.syncDir()
}

// breakSeal checks the files against the seal, if there is one, and removes it.
func (s *Store) breakSeal() error {
	name := s.disk.PathJoin(s.dir, sealName)
	want, err := s.readFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // new, or not closed before its process ended
	}
	if err != nil {
		return fmt.Errorf("reading the seal: %w", err)
	}
	got, err := s.describe()
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("its files were changed since it was closed (%s); restore them from a backup, or remove %s to open "+
			"what is left, knowing that operations may be forgotten and run again", difference(got, want), name)
	}
	if err := s.disk.FS.Remove(name); err != nil {
		return fmt.Errorf("breaking the seal: %w", err)
	}
	return s.syncDir()
}

// describe returns a line for each file whose damage Pebble might not notice, and a checksum of the lines.
func (s *Store) describe() ([]byte, error) {
	names, err := s.disk.List(s.dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var text []byte
	for _, name := range names {
		if name == lockName || strings.HasPrefix(name, sealName) || strings.HasSuffix(name, tableSuffix) {
			continue
		}
		content, err := s.readFile(s.disk.PathJoin(s.dir, name))
		if err != nil {
			return nil, err
		}
		text = fmt.Appendf(text, "%s %d %08x\n", name, len(content), crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli)))
	}
	return text, nil
}

// difference names the first line in which two descriptions differ.
func difference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("got %q, want %q", g[i], w[i])
		}
	}
	return fmt.Sprintf("got %d files, want %d", len(g)-1, len(w)-1)
}

func (s *Store) readFile(name string) ([]byte, error) {
	f, err := s.disk.FS.Open(name)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(f)
	return content, errors.Join(err, f.Close())
}

func (s *Store) syncDir() error {
	dir, err := s.disk.FS.OpenDir(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
