//go:build !linux

package pgstore

import "syscall"

func limitUnheard(string, string, syscall.RawConn) error { return nil }
