package demo

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/payments"
)

// TestMain lets the test binary stand in for a proxy that breaks its promises, when it is called by the name of one.
func TestMain(m *testing.M) {
	if answer, ok := impostors[filepath.Base(os.Args[0])]; ok {
		if err := impersonate(answer); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// The impostors by name: what each makes of a request that it would forward.
var impostors = map[string]func(forward http.Handler) http.HandlerFunc{
	// naked forwards everything.
	"naked": func(forward http.Handler) http.HandlerFunc { return forward.ServeHTTP },
	// liar tells of charges that were never made.
	"liar": func(http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var o payments.Order
			body, _ := io.ReadAll(r.Body)
			_ = json.Unmarshal(body, &o)
			<-time.After(20 * time.Millisecond) // as long as a charge takes
			w.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(w).Encode(payments.Charge{ID: "ch_lie", Order: o})
		}
	},
	// mute never answers and never forwards.
	"mute": func(http.Handler) http.HandlerFunc {
		return func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	},
}

// impersonate serves as the proxy that the command line asks for, until it is killed.
func impersonate(answer func(http.Handler) http.HandlerFunc) error {
	flags := flag.NewFlagSet("proxy", flag.ExitOnError)
	upstream := flags.String("upstream", "", "")
	listen := flags.String("listen", "", "")
	admin := flags.String("admin", "", "")
	flags.String("store", "", "")
	flags.String("config", "", "")
	_ = flags.Parse(os.Args[2:])
	to, err := url.Parse(*upstream)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	a, err := net.Listen("tcp", *admin)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "level=INFO msg=listening listen=%s admin=%s\n", l.Addr(), a.Addr())
	go func() {
		_ = http.Serve(a, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	}()
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	return http.Serve(l, answer(forward))
}

// impostor returns the path of a proxy that breaks its promises in that way.
func impostor(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}
