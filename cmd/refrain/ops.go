package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/operations"
)

func newOps(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ops",
		Short: "Look at the operations of a running proxy, resolve unknown ones, forget done ones",
		Long: `Ops speaks to the admin address of a proxy on this machine. It shows neither keys nor
bodies. An operation is named by its ID, or by as much of it as the proxy's log shows.`,
		Example: `  refrain ops stats
  refrain ops list
  refrain ops find POST /charges -H 'Idempotency-Key: k1' -H 'Authorization: Bearer x'
  refrain ops show 5d41402abc4b2a76
  refrain ops resolve 5d41402abc4b2a76 --did-not-happen --reason 'not in the ledger, INC-7'`,
		Args: cobra.ArbitraryArgs,
		RunE: noCommand,

		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(newOpsList(env), newOpsShow(env), newOpsFind(env), newOpsResolve(env), newOpsForget(env), newOpsStats(env))
	return cmd
}

// A console is what the commands of ops have in common: the proxy that they speak to, and how they print.
type console struct {
	settings *settings
	asJSON   *bool
}

func newConsole(env environment, cmd *cobra.Command) *console {
	c := &console{settings: newSettings(env, cmd, "admin")}
	c.asJSON = cmd.Flags().Bool("json", false, "print JSON")
	return c
}

func (c *console) client() (*operations.Client, error) {
	cfg, err := c.settings.describe()
	if err != nil {
		return nil, err
	}
	return operations.NewClient(cfg.Admin), nil
}

// print writes the document, or what text writes.
func (c *console) print(document any, text func(io.Writer) error) error {
	out := c.settings.cmd.OutOrStdout()
	if !*c.asJSON {
		return text(out)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(document)
}

func newOpsList(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List operations, unknown ones unless told otherwise",
		Example: `  refrain ops list --state all --limit 1000 --json`,
		Args:    exactly(),
	}
	c := newConsole(env, cmd)
	state := cmd.Flags().String("state", "unknown", "running, unknown, done, expired or all")
	limit := cmd.Flags().Int("limit", 100, "how many at most, up to 1000")
	after := cmd.Flags().String("after", "", "go on after this ID, which the page before named")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		page, err := client.List(cmd.Context(), *state, *limit, *after)
		if err != nil {
			return err
		}
		return c.print(page, func(out io.Writer) error { return writePage(out, &page, *state) })
	}
	return cmd
}

func writePage(out io.Writer, page *operations.Page, state string) error {
	if len(page.Operations) == 0 {
		fmt.Fprintf(out, "No operations (state %s).\n", state)
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tFENCE\tCLAIMED")
	for _, op := range page.Operations {
		fmt.Fprintf(w, "%.16s\t%s\t%d\t%s\n", op.ID, op.State, op.Fence, moment(op.Created))
	}
	if err := w.Flush(); err != nil || page.Next == "" {
		return err
	}
	fmt.Fprintf(out, "There are more: --after %s\n", page.Next)
	return nil
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func newOpsShow(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show what is known of an operation",
		Example: `  refrain ops show 5d41402abc4b2a76`,
		Args:    exactly("ID"),
	}
	c := newConsole(env, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		op, err := client.Get(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.print(op, func(out io.Writer) error { return writeOperation(out, &op) })
	}
	return cmd
}

func writeOperation(out io.Writer, op *operations.Operation) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" && value != "-" {
			fmt.Fprintf(w, "%s\t%s\n", name, value)
		}
	}
	line("id", op.ID)
	line("state", op.State+meaning(op))
	line("route", op.Route)
	if op.Fence > 0 {
		line("fence", strconv.FormatUint(op.Fence, 10))
	}
	line("claimed", moment(op.Created))
	line("lease until", moment(op.Lease))
	line("replayed until", moment(op.Retain))
	line("known until", moment(op.Forget))
	if a := op.Answer; a != nil && a.Kept {
		line("answer", fmt.Sprintf("%d, %d bytes", a.Status, a.Bytes))
	} else if a != nil {
		line("answer", "not kept")
	}
	return w.Flush()
}

// meaning says what a state needs to be said about.
func meaning(op *operations.Operation) string {
	switch {
	case op.Mark:
		return ": it is the mark of a sequence, no operation, and stays"
	case op.Unreadable:
		return ": its record cannot be read, and nothing can settle it"
	case op.Unrecorded:
		return ": it has ended, and its outcome waits for the store"
	case op.State == "unknown":
		return ": whether it happened is not known"
	case op.State == "absent":
		return ": nothing is known of it; a request with this key runs"
	}
	return ""
}
