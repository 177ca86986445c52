package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/demo"
)

func newDemo() *cobra.Command {
	var cfg demo.Config
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See duplicates happen, and stop: a payments API in a retry storm",
		Long: `Demo starts a small payments API with a ledger and sends the same storm of payments
twice: at the bare API, and through Refrain. Answers get lost, clients lose patience,
duplicates arrive at once, and in the middle the proxy is killed with kill -9 (in the
bare run, which has no proxy, every connection is cut). Then the ledger is counted.

It needs no network and no root, takes about ten seconds and leaves nothing behind.

The exit status is 1 if behind Refrain anything was charged twice, lost, or neither
charged nor reported; and also if the storm was not one: if a fault did not happen, or
the bare run charged nothing twice.`,
		Example: `  refrain demo
  refrain demo --json
  refrain demo --keep
  refrain demo --store redis:`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if err := demo.CheckStore(cfg.Store); err != nil {
				return misuse{fmt.Errorf("flag --store: %w", err)}
			}
			cfg.Out, cfg.Err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return demo.Run(ctx, cfg)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&cfg.JSON, "json", false, "print one JSON object instead of a table")
	flags.BoolVar(&cfg.Keep, "keep", false, "leave everything running to play with, until Ctrl-C")
	flags.StringVar(&cfg.Store, "store", "",
		"redis:, postgres: or mysql: starts such a server for the demo; a URL names one that runs (default embedded)")
	flags.Uint64Var(&cfg.Seed, "seed", 0, "draw the storm from this number, to see the same one again (default random)")
	return cmd
}
