package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/operations"
)

var errNotSure = errors.New("its key will be new, and the next request with it runs once more; if that is meant, add --yes")

func newOpsForget(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "forget ID",
		Short: "Forget an operation that is done, so that its key is new",
		Long: `Forget removes an operation that is done or expired before its time, with its recorded
answer. The next request with its key runs once more.

Give the fence that show printed as --fence: if the operation has changed since you looked
at it, nothing is done. Who, why and what go to the proxy's log.`,
		Example: `  refrain ops forget 5d41402abc4b2a76 --yes --fence 3 --reason 'the answer has personal data, INC-8'`,
		Args:    exactly("ID"),
	}
	c := newConsole(env, cmd)
	yes := cmd.Flags().Bool("yes", false, "confirm that the next request with its key may run")
	reason := cmd.Flags().String("reason", "", "why; it goes to the log, so it must not contain a key")
	by := cmd.Flags().String("by", "", "who decided it (default the user who runs this)")
	fence := cmd.Flags().Uint64("fence", 0, "as show printed it; refused if the operation has changed since (default as it is now)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case *reason == "":
			return misuse{errNoReason}
		case !*yes:
			return misuse{errNotSure}
		}
		who, err := whoever(*by)
		if err != nil {
			return err
		}
		client, err := c.client()
		if err != nil {
			return err
		}
		said := operations.Oblivion{Fence: *fence, Reason: *reason, By: who}
		if said.Fence == 0 {
			op, err := client.Get(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if op.State != "done" && op.State != "expired" {
				return fmt.Errorf("the operation is %s; only one that is done or expired can be forgotten", op.State)
			}
			said.Fence = op.Fence
		}
		op, err := client.Forget(cmd.Context(), args[0], said)
		if err != nil {
			return err
		}
		return c.print(op, func(out io.Writer) error { return writeOperation(out, &op) })
	}
	return cmd
}
