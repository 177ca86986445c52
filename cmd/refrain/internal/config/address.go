package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// upstream is a kind of base URLs of upstreams.
func upstream() kind[*url.URL] {
	show := func(u *url.URL) string {
		if u == nil {
			return ""
		}
		return u.String()
	}
	return scalar(parseUpstream, show)
}

// parseUpstream reads an upstream's URL. Its errors never repeat it, for it may hold a password.
func parseUpstream(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		// The error of url.Parse repeats the whole URL; its cause is enough.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, fmt.Errorf("not a URL: %w; write one such as http://127.0.0.1:3000", err)
	case u.User != nil:
		return nil, errors.New("a user and password do not belong in this URL; clients send their own credentials")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("does not begin with http:// or https://")
	case u.Hostname() == "":
		return nil, errors.New("has no host; write one such as http://127.0.0.1:3000")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("has a query or fragment; only a path may follow the host")
	case u.Port() != "":
		if err := checkPort(u.Port()); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// address is a kind of addresses to listen on.
func address() kind[string] {
	parse := func(text string) (string, error) {
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			if checkPort(text) == nil {
				return "", fmt.Errorf("%q has no host; did you mean 127.0.0.1:%s, or :%s for all interfaces?", text, text, text)
			}
			return "", fmt.Errorf("%q is not an address; write one such as 127.0.0.1:8080", text)
		}
		if strings.ContainsAny(host, " /") {
			return "", fmt.Errorf("%q is not a host", host)
		}
		if err := checkPort(port); err != nil {
			return "", err
		}
		return text, nil
	}
	return scalar(parse, strings.Clone)
}

func checkPort(text string) error {
	if _, err := strconv.ParseUint(text, 10, 16); err != nil {
		return fmt.Errorf("port %q is not a number from 0 to 65535", text)
	}
	return nil
}

// collide reports whether two addresses cannot be listened on both. Those that leave the port to the system can.
func collide(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	return portA == portB && portA != "0" && (hostA == hostB || everywhere(hostA) || everywhere(hostB))
}

// leads reports whether a connection to an address certainly arrives at what listens on another one.
func leads(to, listen string) bool {
	host, port, _ := net.SplitHostPort(to)
	at, own, _ := net.SplitHostPort(listen)
	byName := isHere(at) && (host == "localhost" || at == "localhost")
	return port == own && (host == at || isHere(host) && (everywhere(at) || byName))
}

// everywhere reports whether a host stands for all interfaces.
func everywhere(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

// isHere reports whether a host is certainly this machine.
func isHere(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || everywhere(host) || err == nil && a.IsLoopback()
}

// authority returns the host and port of a URL.
func authority(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
