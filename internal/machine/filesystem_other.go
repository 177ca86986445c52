//go:build !linux

package machine

import "errors"

// FileSystemOf says that it does not know.
func FileSystemOf(string) (FileSystem, error) { return FileSystem{}, errors.New("known on Linux only") }
