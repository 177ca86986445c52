//go:build unix

package main

import (
	"syscall"
	"time"
)

// cpuTime returns how long this process has been working, on all cores. Unlike the clock it does not count what other
// processes do meanwhile.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // cannot be: its arguments are fixed
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
