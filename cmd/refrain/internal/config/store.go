package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A Store names a store by its URL.
type Store struct {
	Scheme string
	Dir    string // of pebble:
	URL    string // of a store that other processes use too: whole, with its password
}

// The schemes of the stores that other processes use too.
var networked = []string{
	"redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", "postgres", "postgresql", "mysql",
}

const supportedStores = "supported: pebble:DIR, sqlite:FILE, memory:, redis://, redis+sentinel://, redis+cluster://, " +
	"postgres://, mysql://"

// Shared reports whether other processes can use the same store at the same time.
func (s Store) Shared() bool { return s.URL != "" }

// Networked reports whether the store is on a server, which may be away.
func (s Store) Networked() bool { return slices.Contains(networked, s.Scheme) }

// String returns the URL without what may be secret in it.
func (s Store) String() string {
	if !s.Shared() {
		return s.Scheme + ":" + s.Dir
	}
	if s.Scheme == "sqlite" {
		return s.URL
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return s.Scheme + "://"
	}
	u.RawQuery, u.Fragment = "", ""
	return u.Redacted()
}

// store is a kind of store URLs.
func store() kind[Store] { return scalar(ParseStore, Store.String) }

// ParseStore reads a store's URL. The error never repeats it, for it may hold a password.
func ParseStore(text string) (Store, error) {
	scheme, rest, found := strings.Cut(text, ":")
	switch {
	case text == "memory":
		return Store{}, errors.New(`did you mean "memory:"? In the file it needs the quotes`)
	case !found:
		return Store{}, errors.New("this is not a store's URL; did you mean pebble:DIR? " + supportedStores)
	case slices.Contains(networked, scheme):
		return parseNetworked(text, scheme)
	case scheme == "sqlite" && (rest == "" || strings.HasPrefix(rest, "//")):
		return Store{}, errors.New("sqlite: takes a file; write sqlite:./refrain.db or sqlite:/abs/refrain.db")
	case scheme == "sqlite":
		return Store{Scheme: scheme, URL: text}, nil
	case scheme == "memory" && rest != "":
		return Store{}, errors.New("memory: takes nothing after the colon")
	case scheme == "memory":
		return Store{Scheme: scheme}, nil
	case scheme != "pebble":
		return Store{}, fmt.Errorf("scheme %q is not known; %s", scheme, supportedStores)
	case strings.HasPrefix(rest, "//"):
		return Store{}, errors.New("pebble: takes a directory, not a host; write pebble:./dir or pebble:/abs/dir")
	case rest == "":
		return Store{}, errors.New("pebble: needs a directory; write pebble:./refrain-data")
	}
	return Store{Scheme: scheme, Dir: rest}, nil
}

func parseNetworked(text, scheme string) (Store, error) {
	u, err := url.Parse(text)
	if err != nil {
		// The error of url.Parse repeats the whole URL; its cause may repeat a part.
		return Store{}, fmt.Errorf("not a URL; write one such as %s://user@127.0.0.1/; %% in a password is written %%25", scheme)
	}
	if strings.Contains(u.Path, "@") { // not a path: what is in front of the first slash was taken for the host
		return Store{}, errors.New("has an @ behind a slash; a / in a user or a password is written %2F, an @ in a path %40")
	}
	if u.Host == "" && !strings.HasPrefix(scheme, "postgres") { // which may name a socket in its query
		return Store{}, fmt.Errorf("has no host; write one such as %s://127.0.0.1/", scheme)
	}
	return Store{Scheme: scheme, URL: text}, nil
}

// folder is a kind of paths.
func folder() kind[string] {
	parse := func(text string) (string, error) {
		if text == "" {
			return "", errors.New("is empty; write a folder such as ./refrain-data")
		}
		return text, nil
	}
	return scalar(parse, strings.Clone)
}

// checkStore reports settings that the store has no use for.
func (c *Config) checkStore(d *decoder) {
	if c.Store.Shared() {
		return
	}
	for _, name := range []string{"journal", "secret"} {
		if origin, given := c.origins[name]; given {
			at := value{d: d, path: name, origin: origin}
			at.fault("is for stores that other processes use too; %s has its own (%s)", c.Store, c.origins["store"])
		}
	}
}
