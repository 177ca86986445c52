package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/operations"
)

func newOpsStats(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Count the operations in each state",
		Long: `Stats has the proxy read every operation that its store holds, and count them. Those that
change meanwhile count as what they were or as what they are.`,
		Example: `  refrain ops stats --json`,
		Args:    exactly(),
	}
	c := newConsole(env, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		s, err := client.Stats(cmd.Context())
		if err != nil {
			return err
		}
		return c.print(s, func(out io.Writer) error { return writeStats(out, &s) })
	}
	return cmd
}

func writeStats(out io.Writer, s *operations.Stats) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	oldest := ""
	if s.Unknown > 0 {
		oldest = "  the oldest claimed " + moment(s.Oldest)
	}
	fmt.Fprintf(w, "running\t%d\nunknown\t%d%s\ndone\t%d\nexpired\t%d\n", s.Running, s.Unknown, oldest, s.Done, s.Expired)
	return w.Flush()
}
