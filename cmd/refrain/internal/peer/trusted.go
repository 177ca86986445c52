// Package peer takes principals from who is at the other end of a connection: a proxy that is trusted to name its client, the
// client's address, or the certificate that was verified.
package peer

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
)

// Trusted are the addresses of the proxies whose word about their clients is taken. A nil Trusted trusts nobody. It does not
// change and may be used concurrently.
type Trusted []netip.Prefix

// Why a request does not name its principal, though it should. The messages quote nothing of the request.
var (
	// ErrDuplicate: a trusted proxy sent several lines of the header. It may have added its own to its client's.
	ErrDuplicate = errors.New("a trusted proxy sent several lines of the header that names the principal; " +
		"it must replace what its client sends")
	// ErrAddress: the peer's address, or one that a trusted proxy gives in X-Forwarded-For, is not an IP address.
	ErrAddress = errors.New("the client's address cannot be told")
	// ErrConnection: there is no connection, for the request is only told of.
	ErrConnection = errors.New("whom it comes from shows in its connection; name the address that it came from (--from)")
	// ErrCertificate: the verified certificate names nobody, or several.
	ErrCertificate = errors.New("the client's certificate does not name one principal")
)

// ParsePrefix reads one entry of a list of trusted proxies: a network such as 10.0.0.0/8, or a single address. Addresses of
// IPv4 in the form of IPv6 (RFC 4291 section 2.5.5.2) are those of IPv4.
func ParsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is neither a network such as 10.0.0.0/8 nor an IP address", text)
	}
	p, ok := unmapPrefix(p)
	switch {
	case !ok:
		return p, fmt.Errorf("%q is part IPv4 and part IPv6; write the two networks that are meant", text)
	case p.Bits() == 0:
		return p, fmt.Errorf("%q trusts everyone: anyone could name any principal; write the proxies' own addresses", text)
	case p != p.Masked():
		return p, fmt.Errorf("%q has bits beyond its length; write %s for the network, or %s alone for the address", text,
			p.Masked(), p.Addr())
	}
	return p, nil
}

const mappedBits = 96 // of ::ffff:0:0/96, where IPv4 is in IPv6

func unmapPrefix(p netip.Prefix) (netip.Prefix, bool) {
	if !p.Addr().Is4In6() {
		return p, true
	}
	return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits), p.Bits() >= mappedBits
}

// Includes reports whether the request's peer, the one that is directly connected, is a trusted proxy.
func (t Trusted) Includes(r *http.Request) bool {
	addr, ok := parseAddr(r.RemoteAddr)
	return ok && t.includes(addr)
}

func (t Trusted) includes(addr netip.Addr) bool {
	addr = addr.WithZone("") // a network has no zone: fe80::/10 is link-local on every interface
	return slices.ContainsFunc(t, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// parseAddr reads an address with or without a port, in brackets or not.
func parseAddr(text string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap(), true
	}
	if n := len(text); n > 2 && text[0] == '[' && text[n-1] == ']' {
		text = text[1 : n-1]
		if addr, err := netip.ParseAddr(text); err != nil || addr.Is4() {
			return netip.Addr{}, false
		}
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err == nil
}
