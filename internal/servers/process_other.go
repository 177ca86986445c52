//go:build unix && !linux

package servers

import "syscall"

func attributes(user string) (*syscall.SysProcAttr, error) {
	c, err := credential(user)
	return &syscall.SysProcAttr{Setpgid: true, Credential: c}, err
}
