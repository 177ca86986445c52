//go:build !linux

package audit

import (
	"errors"

	"github.com/refrain-dev/refrain"
)

var errElsewhere = errors.New("known on Linux only")

func (in *inspector) fileSystem(string) {
	in.say(refrain.GradeWarn, "file system", "cannot be told: %v", errElsewhere)
}

func freeBytes(string) (int64, error) { return 0, errElsewhere }

func locked(string) (bool, int, error) { return false, 0, errElsewhere }
