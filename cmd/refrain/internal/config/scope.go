package config

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/refrain-dev/refrain/refrainhttp"
)

const principals = "header:NAME, jwt:CLAIM, mtls, trusted:NAME, cookie:NAME, client-ip, none"

// principal is a kind of places in a request that may say who it comes from.
func principal() kind[refrainhttp.Source] {
	return scalar(parsePrincipal, func(s refrainhttp.Source) string { return string(s) })
}

func parsePrincipal(text string) (refrainhttp.Source, error) {
	scheme, name, named := strings.Cut(text, ":")
	switch scheme {
	case "header", "trusted":
		name, err := parseHeader(name)
		if err == nil && scheme == "header" {
			err = notCaller(name)
		}
		return refrainhttp.Source(scheme + ":" + name), err
	case "jwt":
		if name == "" {
			return "", errors.New("needs the claim that names the principal, such as jwt:sub")
		}
		return refrainhttp.Source(text), nil
	case "cookie":
		if name == "" || strings.IndexFunc(name, notTokenChar) >= 0 {
			return "", fmt.Errorf("%q needs a cookie's name, such as cookie:session", text)
		}
		return refrainhttp.Source(text), nil
	case "mtls", "client-ip", "none":
		if named {
			return "", fmt.Errorf("%q: %s takes nothing after it", text, scheme)
		}
		return refrainhttp.Source(text), nil
	}
	if !named && strings.IndexFunc(text, notTokenChar) < 0 && text != "" {
		return "", fmt.Errorf("%q does not say where to look; did you mean header:%s?", text, text)
	}
	return "", fmt.Errorf("%q is not known; supported: %s", text, principals)
}

// notCaller says why a request header does not name a caller, if so.
func notCaller(name string) error {
	switch {
	case slices.Contains(volatile, name):
		return fmt.Errorf("%s differs from one attempt to the next, so that every retry would be somebody else's; remove it", name)
	case name == "X-Forwarded-For" || name == "Forwarded":
		return fmt.Errorf("%s can say anything; write client-ip, and in trusted_proxies whose word about it is taken", name)
	case name == "Cookie":
		return fmt.Errorf("%s holds all cookies, and some change; name the one that tells who it is, such as cookie:session", name)
	}
	return nil
}

// routeScope is a kind of what of the route a key is bound to.
func routeScope() kind[refrainhttp.RouteScope] {
	words := []string{"pattern", "path", "none"}
	parse := func(text string) (refrainhttp.RouteScope, error) {
		names, isParam := strings.CutPrefix(text, "path:")
		switch {
		case !isParam && slices.Contains(words, text):
			return refrainhttp.RouteScope(text), nil
		case !isParam && nearest(text, words) != "":
			return "", fmt.Errorf("%q is not known; did you mean %s?", text, nearest(text, words))
		case !isParam:
			return "", fmt.Errorf("%q is not known; supported: pattern, path, path:NAME, none", text)
		case strings.ContainsAny(names, "{} ") || slices.Contains(strings.Split(names, ","), ""):
			return "", fmt.Errorf("%q does not name wildcards of the pattern; for {account} write path:account, for two path:org,account",
				text)
		}
		return refrainhttp.RouteScope(text), nil
	}
	return scalar(parse, func(s refrainhttp.RouteScope) string { return string(s) })
}

// replayHeaders is a kind of lists of headers in which all, a nil list, is a word.
func replayHeaders() kind[[]string] {
	names := list(replayHeader())
	return kind[[]string]{
		read: func(v value) ([]string, bool) {
			if v.node.GetToken().Value == "all" {
				return nil, true
			}
			return names.read(v)
		},
		show: func(all []string) string {
			if all == nil {
				return "all"
			}
			return names.show(all)
		},
	}
}

// checkScope reports what is wrong with the principals, whatever else the file says.
func (p *Policy) checkScope() []contradiction {
	const field = "scope.principal"
	who := p.Principal
	switch last := len(who) - 1; {
	case len(who) == 0:
		return contradict(field, "is empty; write none if all callers are one and the same")
	case len(who) > 1 && slices.Contains(who, "none"):
		return contradict(field, "none stands alone; remove it or the others")
	case slices.Contains(who[:last], "client-ip"):
		return contradict(field, "client-ip must stand last: every request has an address, so what follows is never asked")
	}
	for _, s := range who {
		if name, ok := strings.CutPrefix(string(s), "trusted:"); ok && slices.Contains(who, refrainhttp.Source("header:"+name)) {
			return contradict(field, "header:%s takes anyone's word for what %s takes from trusted proxies only; remove one", name, s)
		}
	}
	return p.checkCookies()
}

// checkCookies sees to it that Set-Cookie is replayed to nobody but the principal that it was meant for.
func (p *Policy) checkCookies() []contradiction {
	isCookie := func(name string) bool { return http.CanonicalHeaderKey(name) == "Set-Cookie" }
	if !slices.ContainsFunc(p.ReplayHeaders, isCookie) ||
		slices.ContainsFunc(p.Principal, func(s refrainhttp.Source) bool { return s != "none" && s != "client-ip" }) {
		return nil
	}
	const text = "has Set-Cookie, but scope.principal is %s (%s): whoever sends the key would get another's cookie; remove " +
		"Set-Cookie, or name a principal that callers prove, such as header:Authorization"
	return contradict("replay.headers", text, p.Principal[0], p.origins["scope.principal"])
}

// checkResources reports patterns without the wildcard that the keys of their route are bound to.
func (r *Route) checkResources(d *decoder) {
	names, ok := strings.CutPrefix(string(r.Policy.RouteScope), "path:")
	if !ok {
		return
	}
	at := value{d: d, path: "scope.route", origin: r.Policy.origins["scope.route"]}
	for _, p := range r.Match {
		for name := range strings.SplitSeq(names, ",") {
			if !strings.Contains(p.Text, "{"+name+"}") && !strings.Contains(p.Text, "{"+name+"...}") {
				at.fault("%q (%s) has no {%s}; add it to the pattern, or give its route another scope.route", p.Text, p.Origin, name)
			}
		}
	}
}
