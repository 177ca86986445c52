//go:build unix

package servers

import (
	"errors"
	"syscall"
)

// Pause stops the server and the processes of its sessions, which are no group of their own.
func (p *Postgres) Pause() error {
	err := p.Process.Pause() // first, so that there are no more
	return errors.Join(err, p.signalChildren(syscall.SIGSTOP))
}

// Resume lets a paused server go on.
func (p *Postgres) Resume() error {
	return errors.Join(p.signalChildren(syscall.SIGCONT), p.Process.Resume())
}

func (p *Postgres) signalChildren(s syscall.Signal) (err error) {
	for _, pid := range childrenOf(p.PID()) {
		if e := syscall.Kill(pid, s); e != nil && !errors.Is(e, syscall.ESRCH) {
			err = errors.Join(err, e)
		}
	}
	return err
}
