package main

import "github.com/spf13/cobra"

// answerHelp has --help say so if there is no such command, instead of showing the help of the one above. It returns where that
// is said, for cobra takes no error from who shows help.
func answerHelp(root *cobra.Command) *error {
	unknown, show := new(error), root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if words := cmd.Flags().Args(); cmd.HasSubCommands() && len(words) > 0 {
			*unknown = noCommand(cmd, words)
			return
		}
		show(cmd, args)
	})
	return unknown
}

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [command]",
		Short:   "Show how to use a command",
		Example: "  refrain help ops resolve",
		RunE: func(cmd *cobra.Command, words []string) error {
			found, rest, err := cmd.Root().Find(words)
			switch {
			case err != nil:
				return misuse{err}
			case len(rest) > 0 && found.HasSubCommands():
				return noCommand(found, rest)
			}
			return found.Help()
		},
	}
}
