package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newRoot(env environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "refrain",
		Short: "Retry anything. It happens once.",
		Long: `Refrain is an idempotency layer for APIs: when a client, a network or a queue sends
the same operation again, its side effect is not run again, and the first answer is
given again.`,
		Example: `  refrain demo
  refrain proxy --upstream http://127.0.0.1:3000
  refrain check --config refrain.yaml
  refrain explain --config refrain.yaml POST /charges`,
		Args:          cobra.ArbitraryArgs,
		RunE:          noCommand,
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,
	}
	root.SetArgs(env.args)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return misuse{err} })
	root.AddCommand(newDemo(), newProxy(env), newCheck(env), newExplain(env), newDocs(env), newOps(env), newMigrate(env),
		newVersion())
	root.SetHelpCommand(newHelp())
	root.CompletionOptions.HiddenDefaultCmd = false
	return root
}

// noCommand shows the help, or says that there is no such command.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	text := fmt.Sprintf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return misuse{fmt.Errorf("%s", text)}
}

// exactly returns a check that there are so many arguments, named for the reader.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return misuse{fmt.Errorf("missing %s", strings.Join(names[len(args):], " and "))}
		case len(args) > len(names):
			return misuse{fmt.Errorf("unexpected argument %q", args[len(names)])}
		}
		return nil
	}
}
