package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/audit"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/callers"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/gateway"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/storage"
)

// auditTimeout bounds how long a networked store may take to answer.
const auditTimeout = 20 * time.Second

func newCheck(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Validate the configuration and audit the store's durability",
		Long: `Check reads the configuration as the proxy would and reports everything that is
wrong with it. Then it looks at what the store's durability rests on: its directory,
file system, free space, whether and how fast a sync works, and who holds its lock; or
the settings of the server that keeps it. It changes nothing there, and does not disturb
a running proxy. The keys of the issuers of tokens, and the files of tls, are read as
the proxy would read them.

The exit status is 1 if anything is wrong; warnings do not count.`,
		Example: `  refrain check --config refrain.yaml
  refrain check --store pebble:/var/lib/refrain`,
		Args: exactly(),
	}
	s := newSettings(env, cmd, "store")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runCheck(s, cmd.OutOrStdout()) }
	return cmd
}

func runCheck(s *settings, out io.Writer) error {
	cfg, err := s.load()
	if problems, ok := errors.AsType[config.Problems](err); ok && !isMisuse(err) {
		for _, p := range problems {
			report(out, refrain.Remark{Grade: refrain.GradeFault, Subject: "configuration", Text: p.String()})
		}
		return errFound
	}
	if err != nil {
		return err
	}
	findings := slices.Concat(inspectConfig(s, cfg), inspectCallers(cfg), inspectStore(cfg))
	var result error
	for _, f := range findings {
		report(out, f)
		if f.Grade == refrain.GradeFault {
			result = errFound
		}
	}
	return result
}

func inspectConfig(s *settings, cfg *config.Config) []refrain.Remark {
	name := s.file()
	if name == "" {
		name = "no file, defaults"
	}
	findings := []refrain.Remark{{
		Grade: refrain.GradeOK, Subject: "configuration",
		Text: fmt.Sprintf("%s: %s, store %s", name, plural(len(cfg.Patterns()), "route"), cfg.Store),
	}}
	if _, err := offline(cfg); err != nil { // what the proxy would refuse
		findings[0] = refrain.Remark{Grade: refrain.GradeFault, Subject: "configuration", Text: name + ": " + err.Error()}
	}
	if cfg.Upstream == nil {
		findings = append(findings, refrain.Remark{
			Grade: refrain.GradeWarn, Subject: "upstream", Text: "not in the file; the proxy will need --upstream or REFRAIN_UPSTREAM",
		})
	}
	for _, w := range cfg.Warnings() {
		findings = append(findings, refrain.Remark{Grade: refrain.GradeWarn, Subject: "configuration", Text: w.String()})
	}
	if !isLoopback(cfg.Admin) {
		findings = append(findings, refrain.Remark{
			Grade: refrain.GradeWarn, Subject: "admin",
			Text: cfg.Admin + " is for other machines too: health and metrics are told to whoever asks; operations to this machine only",
		})
	}
	return findings
}

// inspectStore looks at what the store's promise rests on.
func inspectStore(cfg *config.Config) []refrain.Remark {
	if !cfg.Store.Shared() {
		return audit.Store(cfg.Store)
	}
	ctx, cancel := context.WithTimeout(context.Background(), auditTimeout)
	defer cancel()
	remarks, err := storage.Audit(ctx, cfg)
	if err != nil {
		remarks = append(remarks, refrain.Remark{Grade: refrain.GradeFault, Subject: "store", Text: err.Error()})
	}
	return remarks
}

// inspectCallers looks at what principals rest on.
func inspectCallers(cfg *config.Config) (all []refrain.Remark) {
	encryption, err := gateway.OpenTLS(cfg.TLS)
	if err == nil {
		err = gateway.Expired(encryption)
	}
	if err != nil {
		all = append(all, refrain.Remark{Grade: refrain.GradeFault, Subject: "encryption", Text: err.Error()})
	}
	c, err := callers.Open(context.Background(), cfg, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return append(all, refrain.Remark{Grade: refrain.GradeFault, Subject: "tokens", Text: err.Error()})
	}
	c.Retire(nil)
	if n := len(cfg.JWT.Issuers); n > 0 {
		text := fmt.Sprintf("keys of %s read", plural(n, "issuer"))
		all = append(all, refrain.Remark{Grade: refrain.GradeOK, Subject: "tokens", Text: text})
	}
	return all
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// isLoopback reports whether an address to listen on is of this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return err == nil
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

func report(out io.Writer, f refrain.Remark) {
	fmt.Fprintf(out, "%-5s  %-13s  %s\n", f.Grade, f.Subject, f.Text)
}
