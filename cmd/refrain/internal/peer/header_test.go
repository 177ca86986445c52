package peer

import (
	"errors"
	"testing"
)

func TestOnlyATrustedProxyNamesThePrincipal(t *testing.T) {
	t.Parallel()
	trusted := trusting(t, "10.0.0.0/8")
	for _, c := range []struct {
		remote string
		lines  []string
		named  bool
		err    error
	}{
		{"10.0.0.1:80", []string{"alice"}, true, nil},
		{"[::ffff:10.0.0.1]:80", []string{"alice"}, true, nil},
		{"192.0.2.1:80", []string{"alice"}, false, nil},
		{"192.0.2.1:80", []string{"alice", "bob"}, false, nil},
		{"@", []string{"alice"}, false, nil},
		{"10.0.0.1:80", nil, false, nil},
		{"", []string{"alice"}, false, ErrConnection},
		{"", nil, false, nil},
		{"10.0.0.1:80", []string{""}, false, nil},
		{"10.0.0.1:80", []string{"(null)"}, false, nil},
		{"10.0.0.1:80", []string{"-"}, false, nil},
		{"10.0.0.1:80", []string{"alice", "bob"}, false, ErrDuplicate},
		{"10.0.0.1:80", []string{"alice", "alice"}, false, ErrDuplicate},
	} {
		r := request(c.remote, "10.0.0.9") // what forwarded the request does not matter
		r.Header["X-User"] = c.lines
		got, err := trusted.Principal(r, "x-user")
		if (got != "") != c.named || !errors.Is(err, c.err) {
			t.Errorf("%s %q: got %q, %v", c.remote, c.lines, got, err)
		}
	}
}

func TestTrustedPrincipalsNeverMeet(t *testing.T) {
	t.Parallel()
	trusted := trusting(t, "10.0.0.1")
	seen := map[string]bool{}
	for _, header := range []string{"X-User", "X-Use", "X-User\x05"} {
		for _, value := range []string{"r", "rr", "alice", "\x05alice", "alice\x00", "Alice"} {
			r := request("10.0.0.1:80")
			r.Header.Set(header, value)
			r.Header[header] = []string{value}
			got, err := trusted.Principal(r, header)
			if err != nil || seen[got] {
				t.Errorf("%q %q: got %q again, or %v", header, value, got, err)
			}
			seen[got] = true
		}
	}
}
