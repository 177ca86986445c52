package callers

import (
	"net/http"
	"strings"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// Offline returns sources that open and verify nothing: a credential that is there counts, and nobody has a certificate. They
// are for explaining what a request would be if its credential were good, and for nothing else.
func Offline(cfg *config.Config) refrainhttp.Sources {
	return refrainhttp.Sources{
		"jwt":     func(string) (refrainhttp.Finder, error) { return there(cfg.JWT.Header, "Bearer"), nil },
		"trusted": func(header string) (refrainhttp.Finder, error) { return there(header, ""), nil },
		"mtls":    func(string) (refrainhttp.Finder, error) { return always(""), nil },
		"client-ip": func(string) (refrainhttp.Finder, error) {
			f := always("an address")
			f.Shared = true
			return f, nil
		},
	}
}

// there finds somebody if the request has the header. In Authorization the scheme must be the given one.
func there(header, scheme string) refrainhttp.Finder {
	return refrainhttp.Finder{Reads: []string{header}, Find: func(r *http.Request) (string, error) {
		value := r.Header.Get(header)
		said, _, _ := strings.Cut(value, " ")
		if value == "" || header == "Authorization" && scheme != "" && !strings.EqualFold(said, scheme) {
			return "", nil
		}
		return "somebody", nil
	}}
}

func always(who string) refrainhttp.Finder {
	return refrainhttp.Finder{Find: func(*http.Request) (string, error) { return who, nil }}
}
