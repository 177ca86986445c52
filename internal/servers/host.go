package servers

import (
	"net"
	"os"
	"strconv"
)

// A Host is where servers run. This machine is one, of which they use the loopback interface; others are those of a [LAN].
type Host struct {
	// Address is the only one that its servers listen on.
	Address string

	space *Process // whose network namespace the host is, or nil
}

// Here returns this machine.
func Here() *Host { return &Host{Address: Loopback} }

// At returns the address of a port of the host.
func (h *Host) At(port int) string { return net.JoinHostPort(h.Address, strconv.Itoa(port)) }

// Command returns how a program is run on the host, in the network that it has: in this process's place, with its number and
// its signals.
func (h *Host) Command(path string, args ...string) (string, []string) {
	if h.space == nil {
		return path, args
	}
	namespace := "--net=/proc/" + strconv.Itoa(h.space.PID()) + "/ns/net"
	return "nsenter", append([]string{namespace, "--", path}, args...)
}

// as is Command for a server that runs as a user: whoever enters a namespace must still be root.
func (h *Host) as(user, path string, args []string) (runsAs, command string, arguments []string) {
	if h == nil || h.space == nil {
		return user, path, args
	}
	if user != "" && os.Geteuid() == 0 {
		args = append([]string{"--reuid=" + user, "--regid=" + user, "--clear-groups", "--pdeathsig=KILL", "--", path}, args...)
		path = "setpriv"
	}
	command, arguments = h.Command(path, args...)
	return "", command, arguments
}
