package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// asNaked makes the test binary serve `proxy` as a proxy that forwards everything.
const asNaked = "TEST_NAKED_PROXY"

// serveNaked forwards everything until it is killed.
func serveNaked() {
	flags := flag.NewFlagSet("proxy", flag.ExitOnError)
	upstream := flags.String("upstream", "", "")
	listen := flags.String("listen", "", "")
	admin := flags.String("admin", "", "")
	flags.String("store", "", "")
	flags.String("config", "", "")
	_ = flags.Parse(os.Args[2:])
	to, err := url.Parse(*upstream)
	clientsAt, clientsErr := net.Listen("tcp", *listen)
	adminAt, adminErr := net.Listen("tcp", *admin)
	if err := errors.Join(err, clientsErr, adminErr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintf(os.Stderr, "listen=%s admin=%s\n", clientsAt.Addr(), adminAt.Addr())
	go func() { _ = http.Serve(adminAt, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) }()
	_ = http.Serve(clientsAt, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }})
}

// With a proxy that does not do its work, `refrain demo` charges twice, says so, and exits with 1. That it exits with 0
// with the real one is TestDemoContract's, in internal/crashtest.
func TestDemoExitStatusOfDoubleCharges(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "demo", "--json", "--seed", "5")
	cmd.Env = append(os.Environ(), asCommand+"=1", asNaked+"=1", "TMPDIR="+t.TempDir())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != statusFault {
		t.Errorf("got %v, want exit status %d\n%s", err, statusFault, &stderr)
	}
	if want := "charges beyond the first of their operation"; !strings.Contains(stderr.String(), want) {
		t.Errorf("got\n%s\nwant %q", &stderr, want)
	}
	var report struct{ Refrain struct{ Duplicates int } }
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil || report.Refrain.Duplicates == 0 {
		t.Errorf("got %v, %d duplicates, want some in the report\n%s", err, report.Refrain.Duplicates, &stdout)
	}
}

func TestDemoMisuse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"demo", "x"}, {"demo", "--seed", "x"}, {"demo", "--nope"}} {
		if got := command(args...); got.status != statusMisuse || got.stdout != "" {
			t.Errorf("%v: got status %d, stdout %q, want %d and nothing", args, got.status, got.stdout, statusMisuse)
		}
	}
}
