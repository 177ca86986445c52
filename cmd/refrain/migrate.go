package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/storage"
)

func newMigrate(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate --store URL",
		Short: "Create or upgrade the schema of a store in a SQL database",
		Long: `Migrate brings the tables of a store to the version that this program needs, step by
step, and creates them if there are none. Proxies on the store may be at work meanwhile.
A store opens only with the schema that its program needs, so migrate before you start
the new program; one that is newer than the program is left alone.

--to goes to another version, upwards or back. Version 0 has no tables: going back to it
forgets all operations, and each would run again.`,
		Example: `  refrain migrate --store postgres://refrain@db.internal/payments
  REFRAIN_STORE="$DATABASE_URL" refrain migrate --to 3`,
		Args: exactly(),
	}
	s := newSettings(env, cmd, "store")
	to := cmd.Flags().Int("to", 0, "the version to go to (default the one that this program needs)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runMigrate(cmd, s, *to) }
	return cmd
}

func runMigrate(cmd *cobra.Command, s *settings, to int) error {
	cfg, err := s.load()
	if err != nil {
		return err
	}
	schema, err := storage.SchemaOf(cfg.Store)
	if err != nil {
		return misuse{err}
	}
	given := cmd.Flag("to").Changed
	switch {
	case given && (to < 0 || to > schema.Version):
		return misuse{fmt.Errorf("flag --to: versions go from 0 to %d", schema.Version)}
	case !given:
		to = schema.Version
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := schema.MigrateTo(ctx, to); err != nil {
		return fmt.Errorf("migrating %s: %w", cfg.Store, err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s has the schema of version %d\n", cfg.Store, to)
	return nil
}
