package sqlitestore

import (
	"errors"
	"os"
	"path/filepath"
)

// files are those that the processes on a store find by their names: the file, its log and the log's index. SQLite keeps the
// last two, in the file's own folder, for as long as any connection is open.
type files struct {
	names [3]string
	infos [3]os.FileInfo // of what was there when the store was opened
}

func openFiles(path string) (f files, err error) {
	own, err := filepath.EvalSymlinks(path)
	if err != nil {
		return f, err
	}
	f.names = [3]string{path, own + "-wal", own + "-shm"}
	for i, name := range f.names {
		if f.infos[i], err = os.Stat(name); err != nil {
			return f, err
		}
	}
	return f, nil
}

// gone returns the name of a file that was removed or replaced, or nothing.
func (f *files) gone() (name string, err error) {
	for i, name := range f.names {
		info, err := os.Stat(name)
		switch {
		case errors.Is(err, os.ErrNotExist), err == nil && !os.SameFile(info, f.infos[i]):
			return name, nil
		case err != nil:
			return "", err
		}
	}
	return "", nil
}
