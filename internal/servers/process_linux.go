package servers

import "syscall"

// attributes let a server end with this process, and its own processes with it.
func attributes(user string) (*syscall.SysProcAttr, error) {
	c, err := credential(user)
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: c}, err
}
