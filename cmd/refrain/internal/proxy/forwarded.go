package proxy

import (
	"cmp"
	"net"
	"net/http"
	"strings"
)

// forwarded is where a request came from, as the upstream is told.
type forwarded struct{ path, host, proto string }

// forwarding tells where the request came from. What the peer itself says of that is believed when the peer has a private
// address, as a load balancer in front has, and dropped when it could be any client.
func forwarding(r *http.Request) forwarded {
	ip, _, _ := net.SplitHostPort(r.RemoteAddr)
	peer := net.ParseIP(ip)
	f := forwarded{path: ip, host: r.Host, proto: "http"}
	if r.TLS != nil {
		f.proto = "https"
	}
	if !peer.IsLoopback() && !peer.IsPrivate() {
		return f
	}
	if earlier := r.Header["X-Forwarded-For"]; len(earlier) > 0 {
		f.path = strings.Join(earlier, ", ") + ", " + ip
	}
	f.host = cmp.Or(r.Header.Get("X-Forwarded-Host"), f.host)
	f.proto = cmp.Or(r.Header.Get("X-Forwarded-Proto"), f.proto)
	return f
}

func (f forwarded) set(h http.Header) {
	h.Set("X-Forwarded-For", f.path)
	h.Set("X-Forwarded-Host", f.host)
	h.Set("X-Forwarded-Proto", f.proto)
}
