package peer

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// request returns a request from an address, with lines of X-Forwarded-For.
func request(remote string, forwarded ...string) *http.Request {
	r := &http.Request{RemoteAddr: remote, Header: http.Header{}}
	if len(forwarded) > 0 {
		r.Header["X-Forwarded-For"] = forwarded
	}
	return r
}

func TestClient(t *testing.T) {
	t.Parallel()
	trusted := trusting(t, "10.0.0.0/8", "::1")
	for _, c := range []struct {
		remote    string
		forwarded []string
		want      string // or "" for ErrAddress
	}{
		{"192.0.2.1:80", nil, "192.0.2.1"},
		{"[2001:db8::1]:80", nil, "2001:db8::1"},
		{"[::ffff:192.0.2.1]:80", nil, "192.0.2.1"},
		{"192.0.2.1:80", []string{"203.0.113.9"}, "192.0.2.1"}, // nobody trusted says so
		{"10.0.0.1:80", nil, "10.0.0.1"},
		{"10.0.0.1:80", []string{""}, "10.0.0.1"},
		{"10.0.0.1:80", []string{"203.0.113.9"}, "203.0.113.9"},
		{"[::1]:80", []string{"203.0.113.9"}, "203.0.113.9"},
		{"[::ffff:10.0.0.1]:80", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"10.0.0.1:80", []string{"198.51.100.1, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"10.0.0.1:80", []string{"198.51.100.1", "203.0.113.9", "10.0.0.2"}, "203.0.113.9"},
		{"10.0.0.1:80", []string{"198.51.100.1,203.0.113.9,", ",\t10.0.0.2 , "}, "203.0.113.9"},
		{"10.0.0.1:80", []string{"garbage, 203.0.113.9"}, "203.0.113.9"}, // what a client writes is not read
		{"10.0.0.1:80", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"10.0.0.1:80", []string{"203.0.113.9:4567"}, "203.0.113.9"},
		{"10.0.0.1:80", []string{"[2001:db8::1]:4567"}, "2001:db8::1"},
		{"10.0.0.1:80", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"10.0.0.1:80", []string{"2001:db8::1"}, "2001:db8::1"},
		{"10.0.0.1:80", []string{"unknown"}, ""},
		{"10.0.0.1:80", []string{"203.0.113.9, unknown"}, ""},
		{"10.0.0.1:80", []string{"203.0.113.9, garbage, 10.0.0.2"}, ""},
		{"10.0.0.1:80", []string{"fe80::1%eth0"}, ""},
		{"10.0.0.1:80", []string{`"203.0.113.9"`}, ""},
		{"@", []string{"203.0.113.9"}, ""},
		{"", nil, ""},
	} {
		r := request(c.remote, c.forwarded...)
		got, err := trusted.Client(r)
		switch {
		case c.want == "":
			want := ErrAddress
			if c.remote == "" {
				want = ErrConnection
			}
			if !errors.Is(err, want) {
				t.Errorf("%s %q: got %v, %v, want %v", c.remote, c.forwarded, got, err, want)
			}
		case err != nil || got.String() != c.want:
			t.Errorf("%s %q: got %v, %v, want %s", c.remote, c.forwarded, got, err, c.want)
		}
	}
}

func TestOneClientIsOnePrincipalHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	trusted := trusting(t, "10.0.0.0/8")
	want, err := trusted.ClientPrincipal(request("192.0.2.1:1111"))
	if err != nil || want == "" {
		t.Fatalf("got %q, %v", want, err)
	}
	for _, r := range []*http.Request{
		request("192.0.2.1:2222"), request("[::ffff:192.0.2.1]:1"), request("10.0.0.1:1", "192.0.2.1:99"),
	} {
		if got, err := trusted.ClientPrincipal(r); got != want || err != nil {
			t.Errorf("%s %q: got %q, %v, want %q", r.RemoteAddr, r.Header, got, err, want)
		}
	}
	if other, _ := trusted.ClientPrincipal(request("192.0.2.2:1111")); other == want {
		t.Error("two clients are one principal")
	}
	if got, err := trusted.ClientPrincipal(request("@")); got != "" || !errors.Is(err, ErrAddress) {
		t.Errorf("got %q, %v, want ErrAddress", got, err)
	}
}

// Whatever a client writes into X-Forwarded-For, the proxy adds its address behind that.
func FuzzClientCannotChooseItsAddress(f *testing.F) {
	for _, text := range []string{"", "10.0.0.5", "203.0.113.1, 10.0.0.5", ",,,", "[::1]:80", "unknown", "\x00", "10.0.0.5,"} {
		f.Add(text)
	}
	trusted := trusting(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, written string) {
		want := netip.MustParseAddr("192.0.2.1")
		for _, r := range []*http.Request{
			request("192.0.2.1:80", written),
			request("10.0.0.1:80", written+", 192.0.2.1"),
			request("10.0.0.1:80", written, "192.0.2.1"),
			request("10.0.0.2:80", written+",192.0.2.1, 10.0.0.1"),
		} {
			if got, err := trusted.Client(r); got != want || err != nil {
				t.Errorf("%q: got %s, %v, want %s", r.Header, got, err, want)
			}
		}
		// Alone, what it wrote is an address, or none is told.
		got, err := trusted.Client(request("10.0.0.1:80", written))
		if (err == nil) != got.IsValid() || got.Zone() != "" {
			t.Errorf("%q: got %v, %v", written, got, err)
		}
	})
}

func TestErrorsQuoteNothing(t *testing.T) {
	t.Parallel()
	_, err := trusting(t, "10.0.0.0/8").Client(request("10.0.0.1:80", "sesame"))
	if err == nil || strings.Contains(err.Error(), "sesame") {
		t.Errorf("got %v", err)
	}
}
