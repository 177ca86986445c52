package peer

import (
	"net/netip"
	"strings"
	"testing"
)

func trusting(t testing.TB, list ...string) Trusted {
	t.Helper()
	trusted := make(Trusted, len(list))
	for i, text := range list {
		p, err := ParsePrefix(text)
		if err != nil {
			t.Fatal(err)
		}
		trusted[i] = p
	}
	return trusted
}

func TestParsePrefix(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.0.0.0/8":          "10.0.0.0/8",
		"192.0.2.7":           "192.0.2.7/32",
		"::1":                 "::1/128",
		"2001:db8::/32":       "2001:db8::/32",
		"::ffff:192.0.2.7":    "192.0.2.7/32",
		"::ffff:10.0.0.0/104": "10.0.0.0/8",
	} {
		got, err := ParsePrefix(text)
		if err != nil || got.String() != want {
			t.Errorf("%s: got %v, %v, want %s", text, got, err, want)
		}
	}
}

func TestBadPrefixesSayWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                  "neither a network such as 10.0.0.0/8 nor an IP address",
		"proxy.example":     "neither a network",
		"10.0.0.0/33":       "neither a network",
		"10.0.0.0 /8":       "neither a network",
		"10.0.0.1:80":       "neither a network",
		"fe80::1%eth0":      "neither a network",
		"0.0.0.0/0":         "trusts everyone",
		"::/0":              "trusts everyone",
		"::ffff:0.0.0.0/96": "trusts everyone",
		"::ffff:0:0/80":     "part IPv4 and part IPv6",
		"10.0.0.1/8":        "write 10.0.0.0/8 for the network, or 10.0.0.1 alone for the address",
	} {
		if _, err := ParsePrefix(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func FuzzParsePrefix(f *testing.F) {
	for _, text := range []string{"10.0.0.0/8", "::1", "::ffff:10.0.0.0/104", "fe80::%1/10", "[::1]", "1.2.3.4:5", "::ffff:0:0/95"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePrefix(text)
		if err != nil {
			return
		}
		if !p.IsValid() || p.Bits() == 0 || p != p.Masked() || p.Addr().Is4In6() {
			t.Errorf("%q: got %s", text, p)
		}
		if again, err := ParsePrefix(p.String()); err != nil || again != p {
			t.Errorf("%q: %s is read as %s, %v", text, p, again, err)
		}
	})
}

func TestIncludes(t *testing.T) {
	t.Parallel()
	trusted := trusting(t, "10.0.0.0/8", "fe80::/10", "2001:db8::7")
	for remote, want := range map[string]bool{
		"10.1.2.3:4567":            true,
		"[::ffff:10.1.2.3]:4567":   true,
		"10.1.2.3":                 true,
		"11.1.2.3:4567":            false,
		"[fe80::1%eth0]:80":        true,
		"[2001:db8::7]:80":         true,
		"[2001:db8::8]:80":         false,
		"":                         false,
		"@":                        false,
		"10.1.2.3:http":            false,
		"10.1.2.3:80, 10.1.2.3:80": false,
		"[10.1.2.3]":               false,
		"010.1.2.3:80":             false,
	} {
		if got := trusted.Includes(request(remote)); got != want {
			t.Errorf("%q: got %t, want %t", remote, got, want)
		}
		if Trusted(nil).Includes(request(remote)) {
			t.Errorf("%q is trusted by nobody", remote)
		}
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, text := range []string{"1.2.3.4", "1.2.3.4:5", "[::1]:5", "[::1]", "::1", "[fe80::1%x]:1", "::ffff:1.2.3.4", "[1.2.3.4]", "[]", "[", ":"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		addr, ok := parseAddr(text)
		if !ok {
			return
		}
		if !addr.IsValid() || addr.Is4In6() {
			t.Errorf("%q: got %s", text, addr)
		}
		for _, same := range []string{addr.String(), netip.AddrPortFrom(addr, 80).String()} {
			if again, ok := parseAddr(same); !ok || again != addr {
				t.Errorf("%q: %s is read as %s, %t", text, same, again, ok)
			}
		}
	})
}
