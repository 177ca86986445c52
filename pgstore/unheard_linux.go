package pgstore

import (
	"errors"
	"syscall"
)

const tcpUserTimeout = 18 // TCP_USER_TIMEOUT, in milliseconds

// limitUnheard has the system end a connection whose peer has not confirmed what was sent. A server that is busy confirms.
func limitUnheard(_, _ string, c syscall.RawConn) error {
	var set error
	err := c.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(unheard.Milliseconds()))
	})
	if errors.Is(set, syscall.ENOPROTOOPT) || errors.Is(set, syscall.EOPNOTSUPP) { // a Unix socket
		set = nil
	}
	return errors.Join(err, set)
}
