package servers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A LAN is a network of hosts on this machine, each in a network namespace of its own, of which packets can be lost. The
// namespaces have no names: the system removes them, with their interfaces and rules, when their processes end, and they end with
// this one, whatever ends it.
type LAN struct {
	Hosts []*Host
	// Gateway is this process's own place in it.
	Gateway *Host

	ip, iptables string
	hub          *Host // a switch that all are connected to
	dir          string
}

// An Unable is the error that says why there can be no network namespaces here.
type Unable struct{ Reason string }

func (u *Unable) Error() string { return "no network namespaces here: " + u.Reason }

// StartLAN makes a network of n hosts. The error is an [Unable] where this process may not do that.
func StartLAN(ctx context.Context, dir string, n int) (*LAN, error) {
	l := &LAN{dir: dir}
	if err := l.start(ctx, n); err != nil {
		return nil, errors.Join(err, l.Stop())
	}
	return l, nil
}

func (l *LAN) start(ctx context.Context, n int) (err error) {
	if err := l.permitted(ctx); err != nil {
		return err
	}
	if l.hub, err = l.host(ctx, "hub", ""); err != nil {
		return err
	}
	if err := l.run(ctx, l.hub, l.ip, "link add name hub type bridge", "link set hub up"); err != nil {
		return err
	}
	network, err := l.uplink(ctx)
	if err != nil {
		return err
	}
	for i := range n {
		if err := l.plug(ctx, "host"+strconv.Itoa(i), network+strconv.Itoa(i+2)); err != nil {
			return err
		}
	}
	return nil
}

// permitted finds what is needed, and tries whether it may be used.
func (l *LAN) permitted(ctx context.Context) (err error) {
	if os.Geteuid() != 0 {
		return &Unable{"they need root"}
	}
	for command, pkg := range map[string]string{"unshare": "util-linux", "nsenter": "util-linux", "setpriv": "util-linux"} {
		if _, err := Find(ctx, command, pkg); err != nil {
			return err
		}
	}
	if l.ip, err = Find(ctx, "ip", "iproute2"); err != nil {
		return err
	}
	if l.iptables, err = Find(ctx, "iptables", "iptables"); err != nil {
		return err
	}
	try := fmt.Sprintf("%s link add name one type veth peer name two && %[1]s link add name three type bridge && "+
		"%s -A INPUT -j DROP", l.ip, l.iptables)
	if out, err := exec.CommandContext(ctx, "unshare", "--net", "sh", "-c", try).CombinedOutput(); err != nil {
		return &Unable{strings.TrimSpace(string(out))}
	}
	return nil
}

// host makes a host that is connected to nothing: a process that does nothing, in a network namespace of its own.
func (l *LAN) host(ctx context.Context, name, address string) (h *Host, err error) {
	h = &Host{Address: address}
	h.space, err = Start(ctx, Command{
		Name: name, Path: "unshare", Args: []string{"--net", "sleep", "infinity"}, Dir: l.dir, Ends: syscall.SIGTERM,
		Ready: func(context.Context) error { return nil },
	})
	if err != nil {
		return nil, err
	}
	return h, eventually(ctx, name+" to be apart", h.apart)
}

// apart reports, by nil, that the host's process has left this one's namespace.
func (h *Host) apart(context.Context) error {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return err
	}
	its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", h.space.PID()))
	if err == nil && its == own {
		err = errors.New("it is in this process's network")
	}
	return err
}

// uplink connects this process with the hub, in a network of the range for benchmarks (RFC 2544) that no interface here is in,
// and returns how the addresses in it begin. The interface is named after the network, so that no two processes take the same.
func (l *LAN) uplink(ctx context.Context) (network string, err error) {
	for range 100 {
		a, b := 18+rand.IntN(2), rand.IntN(256)
		network = fmt.Sprintf("198.%d.%d.", a, b)
		name := fmt.Sprintf("refrain-%d-%d", a, b)
		if taken(network) {
			continue
		}
		if err = l.run(ctx, nil, l.ip, "link add name "+name+" type veth peer name uplink netns "+l.hub.pid()); err != nil {
			continue
		}
		l.Gateway = &Host{Address: network + "1"}
		err = errors.Join(
			l.run(ctx, nil, l.ip, "addr add "+network+"1/24 dev "+name, "link set "+name+" up"),
			l.run(ctx, l.hub, l.ip, "link set uplink master hub up"))
		return network, err
	}
	return "", fmt.Errorf("finding a free network: %w", err)
}

// taken reports whether an interface of this process's network is in the network.
func taken(network string) bool {
	addresses, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(addresses, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.Contains(net.ParseIP(network+"1"))
	})
}

// plug connects a new host with the hub.
func (l *LAN) plug(ctx context.Context, name, address string) error {
	h, err := l.host(ctx, name, address)
	if err != nil {
		return err
	}
	l.Hosts = append(l.Hosts, h)
	return errors.Join(
		l.run(ctx, nil, l.ip, "link add name lan netns "+h.pid()+" type veth peer name "+name+" netns "+l.hub.pid()),
		l.run(ctx, h, l.ip, "link set lo up", "addr add "+address+"/24 dev lan", "link set lan up"),
		l.run(ctx, l.hub, l.ip, "link set "+name+" master hub up"))
}

func (h *Host) pid() string { return strconv.Itoa(h.space.PID()) }

// run runs a program with each of the lines of arguments, on a host, or in this process's network if it is nil.
func (l *LAN) run(ctx context.Context, on *Host, program string, lines ...string) error {
	for _, line := range lines {
		if _, err := l.output(ctx, on, program, line); err != nil {
			return err
		}
	}
	return nil
}

func (l *LAN) output(ctx context.Context, on *Host, program, line string) (string, error) {
	args := strings.Fields(line)
	if on != nil {
		program, args = on.Command(program, args...)
	}
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, line, err, out)
	}
	return string(out), nil
}

// Stop ends the hosts, and with them the network. What runs on them has to be stopped before.
func (l *LAN) Stop() error {
	all := l.Hosts
	if l.hub != nil {
		all = append(all, l.hub)
	}
	var errs []error
	for _, h := range all {
		errs = append(errs, h.space.Stop())
	}
	return errors.Join(errs...)
}
