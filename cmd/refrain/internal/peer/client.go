package peer

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/principal"
)

// Client returns the address that a request comes from. That is the peer's, unless the peer is a trusted proxy: then it is the
// last address in X-Forwarded-For that is not one. What stands before it, the client wrote itself. If all are trusted it is
// the first, and the peer's without the header. The error is nil, ErrAddress or ErrConnection.
func (t Trusted) Client(r *http.Request) (netip.Addr, error) {
	if r.RemoteAddr == "" {
		return netip.Addr{}, ErrConnection
	}
	addr, ok := parseAddr(r.RemoteAddr)
	list := strings.Join(r.Header["X-Forwarded-For"], ",") // several lines are one list (RFC 9110 section 5.3)
	for ok && t.includes(addr) {
		var said string
		if said, list = pop(list); said == "" {
			break
		}
		addr, ok = parseAddr(said)
		ok = ok && addr.Zone() == "" // means nothing on another machine
	}
	if !ok {
		return netip.Addr{}, ErrAddress
	}
	return addr, nil
}

// ClientPrincipal returns the client's address as a principal. Everyone behind one address is one principal then, and a client
// whose address changes between two attempts is another.
func (t Trusted) ClientPrincipal(r *http.Request) (string, error) {
	addr, err := t.Client(r)
	if err != nil {
		return "", err
	}
	return principal.Of("client-ip", addr.String()), nil
}

// pop takes the last element off a list, or "" if there is none. Empty elements do not count (RFC 9110 section 5.6.1.2).
func pop(list string) (last, rest string) {
	for list != "" {
		i := strings.LastIndexByte(list, ',')
		last, rest = strings.Trim(list[i+1:], " \t"), list[:max(i, 0)]
		if last != "" {
			return last, rest
		}
		list = rest
	}
	return "", ""
}
