//go:build !linux

package audit

import "errors"

var errElsewhere = errors.New("known on Linux only")

func freeBytes(string) (int64, error) { return 0, errElsewhere }

func locked(string) (bool, int, error) { return false, 0, errElsewhere }
