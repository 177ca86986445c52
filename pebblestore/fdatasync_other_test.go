//go:build !linux

package pebblestore

import "os"

func fdatasync(f *os.File) error { return f.Sync() }
