//go:build !unix

package servers

import (
	"errors"
	"os"
	"syscall"
)

func attributes(string) (*syscall.SysProcAttr, error) { return nil, nil }

// Own does nothing: there are no servers that run as another user.
func Own(string, string) error { return nil }

func killGroup(p *os.Process) error { return p.Kill() }

// Pause is not possible on this system.
func (p *Process) Pause() error { return errors.ErrUnsupported }

// Resume is not possible on this system.
func (p *Process) Resume() error { return errors.ErrUnsupported }
