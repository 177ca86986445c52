package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/callers"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/reference"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

func newDocs(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "docs",
		Short: "Write what the API's clients must know",
		Long: `Docs writes the contract that the configuration makes with the API's clients: for each
route where the key goes, what it is unique within, which answers are kept and for how
long, and what the answers mean that Refrain gives itself. It is a page of Markdown,
or with --openapi an overlay (OpenAPI Overlay 1.0.0) for the API's description.

A running proxy gives the same as JSON at /.well-known/idempotency.`,
		Example: `  refrain docs --config refrain.yaml > idempotency.md
  refrain docs --config refrain.yaml --openapi > idempotency.overlay.yaml`,
		Args: exactly(),
	}
	s := newSettings(env, cmd)
	overlay := cmd.Flags().Bool("openapi", false, "write an OpenAPI overlay")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := s.describe()
		if err != nil {
			return err
		}
		m, err := offline(cfg)
		if err != nil {
			return err
		}
		if *overlay {
			return reference.Overlay(cmd.OutOrStdout(), m.Contracts())
		}
		return reference.Markdown(cmd.OutOrStdout(), m.Contracts())
	}
	return cmd
}

// offline returns the middleware of a configuration on an empty store, for those who only ask it questions.
func offline(cfg *config.Config) (*refrainhttp.Middleware, error) {
	guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		return nil, err
	}
	mc := cfg.Middleware()
	mc.Sources = callers.Offline(cfg)
	m, err := refrainhttp.New(guard, mc)
	if err != nil {
		return nil, fmt.Errorf("compiling the routes: %w", err)
	}
	return m, nil
}
