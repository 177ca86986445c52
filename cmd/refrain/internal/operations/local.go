package operations

import (
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
)

// local lets only programs of this machine through: no other host, nobody whom a proxy lets in, and no page in a browser here,
// not even one whose name was made to point here.
func local(next http.Handler, log *slog.Logger) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if p := trespass(cross, r); p != nil {
			log.Warn("request to the operations API refused", "remote", r.RemoteAddr, "why", p.Code)
			p.write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// trespass returns why the request is refused, or nil.
func trespass(cross *http.CrossOriginProtection, r *http.Request) *Problem {
	unsafe := *r
	unsafe.Method = http.MethodPost // pages must not read either
	switch {
	case !isLoopback(r.RemoteAddr), isForwarded(r.Header):
		return problem(http.StatusForbidden, "not-local", "operations are for this machine only; run refrain ops beside the proxy")
	case !isOwnName(r.Host):
		return problem(http.StatusForbidden, "wrong-host", "name this machine by an IP address or localhost")
	case cross.Check(&unsafe) != nil:
		return problem(http.StatusForbidden, "cross-origin", "pages of other origins are refused")
	case r.Method == http.MethodPost && !isJSON(r.Header.Get("Content-Type")):
		return problem(http.StatusUnsupportedMediaType, "not-json", "send a document with Content-Type: application/json")
	}
	return nil
}

func isLoopback(remote string) bool {
	a, err := netip.ParseAddrPort(remote)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

// isForwarded reports whether a proxy passed the request on: whom for, nobody can tell. Some proxies add a line to those that a
// client sent, so an empty first one says nothing.
func isForwarded(h http.Header) bool {
	for _, name := range [...]string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// isOwnName reports whether a Host is none that somebody else's name server may point here.
func isOwnName(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	_, err = netip.ParseAddr(name)
	return err == nil || name == "localhost" || name == "[::1]"
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == "application/json"
}
