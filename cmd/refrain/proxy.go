package main

import (
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/gateway"
)

func newProxy(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "proxy --upstream URL",
		Short: "Protect an API with a reverse proxy",
		Long: `Proxy takes requests for an API and forwards each operation once: a request that
repeats an Idempotency-Key gets the first answer again.

SIGHUP reads the file again; a bad file leaves the old one in force. SIGTERM and
SIGINT finish what runs and end; a second one ends at once.

Every flag has an environment variable: --listen is REFRAIN_LISTEN.`,
		Example: `  refrain proxy --upstream http://127.0.0.1:3000
  refrain proxy --config refrain.yaml --listen :8080 --log-format json`,
		Args: exactly(),
	}
	s := newSettings(env, cmd, "upstream", "listen", "admin", "store")
	s.addLogFlags()
	cmd.RunE = func(*cobra.Command, []string) error { return runProxy(s) }
	return cmd
}

var errNoUpstream = errors.New(
	"no upstream: name the API's URL with --upstream, REFRAIN_UPSTREAM or upstream in the file")

// What lives on the heap is small as long as bodies are, and collecting it is work on every request's back: so the heap may
// grow to five times of it. Large bodies bring it to the limit, and then it is collected as often as it takes.
const (
	heapGrowth = 400 // percent
	heapLimit  = 384 << 20
)

// tuneHeap sets how often garbage is collected, unless the environment does.
func tuneHeap() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heapLimit)
	}
}

func runProxy(s *settings) error {
	tuneHeap()
	log, err := s.logger()
	if err != nil {
		return err
	}
	reload, stop := signals(syscall.SIGHUP), signals(syscall.SIGTERM, os.Interrupt)
	g, err := gateway.Start(gateway.Options{
		Load: func() (*config.Config, error) {
			cfg, err := s.load()
			if err == nil && cfg.Upstream == nil {
				err = misuse{errNoUpstream}
			}
			return cfg, err
		},
		Logger:  log,
		Version: buildVersion().Version,
	})
	if err != nil {
		return err
	}
	return g.Run(reload, stop)
}

// signals returns a channel that gets the signals until the process ends.
func signals(sig ...os.Signal) <-chan os.Signal {
	c := make(chan os.Signal, 2)
	signal.Notify(c, sig...)
	return c
}
