//go:build !linux

package sqlitestore

import "github.com/refrain-dev/refrain"

func (in *inspector) fileSystem(string) {
	in.say(refrain.GradeOK, "file system", "not looked at on this system; it must be a local disk")
}
