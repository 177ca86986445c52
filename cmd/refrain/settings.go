package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
)

// settings are what flags, environment variables and the file say together.
type settings struct {
	env   environment
	cmd   *cobra.Command
	names []string // of the settings that this command has flags for
}

// flagUsage says what the flags mean; the file's fields of the same names mean the same.
var flagUsage = map[string]string{
	"upstream": "URL of the API behind the proxy",
	"listen":   "address for clients (default 127.0.0.1:8080)",
	"admin":    "address for operators: health, metrics, operations (default 127.0.0.1:8081)",
	"store":    "where operations are remembered: pebble:DIR, redis://HOST, postgres://HOST/DB, … (default pebble:./refrain-data)",
}

// newSettings adds the flags of the named settings, and --config, to the command.
func newSettings(env environment, cmd *cobra.Command, names ...string) *settings {
	flags := cmd.Flags()
	flags.SortFlags = false
	for _, name := range names {
		flags.String(name, "", flagUsage[name])
	}
	flags.String("config", "", "YAML file; flags and environment variables beat it")
	return &settings{env: env, cmd: cmd, names: names}
}

// variable returns the name of the environment variable for a flag.
func variable(flag string) string {
	return "REFRAIN_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// text returns what the flag or else its environment variable says, and where that comes from; empty if neither does.
func (s *settings) text(flag string) (value, source string) {
	if f := s.cmd.Flag(flag); f.Changed {
		return f.Value.String(), "flag --" + flag
	}
	name := variable(flag)
	return s.env.getenv(name), "environment " + name
}

// file returns the name of the configuration file, or "".
func (s *settings) file() string {
	name, _ := s.text("config")
	return name
}

// load reads the configuration.
func (s *settings) load() (*config.Config, error) { return s.loadBy(config.Load) }

// describe reads the configuration for who only tells what it says, where its secrets may not be.
func (s *settings) describe() (*config.Config, error) { return s.loadBy(config.Describe) }

func (s *settings) loadBy(load func(string, ...config.Override) (*config.Config, error)) (*config.Config, error) {
	var over []config.Override
	for _, name := range s.names {
		value, source := s.text(name)
		if value != "" || strings.HasPrefix(source, "flag") {
			over = append(over, config.Override{Name: name, Value: value, Source: source})
		}
	}
	return load(s.file(), over...)
}

// addLogFlags adds --log-level and --log-format to the command.
func (s *settings) addLogFlags() {
	s.cmd.Flags().String("log-level", "", "debug, info, warn or error (default info)")
	s.cmd.Flags().String("log-format", "", "text or json (default text)")
}

// logger returns the logger that the flags ask for, on standard error.
func (s *settings) logger() (*slog.Logger, error) {
	var level slog.Level
	text, source := s.text("log-level")
	if err := level.UnmarshalText([]byte(cmp.Or(text, "info"))); err != nil {
		return nil, misuse{fmt.Errorf("%s: %q is none of debug, info, warn, error", source, text)}
	}
	options := &slog.HandlerOptions{Level: level}
	switch text, source := s.text("log-format"); text {
	case "", "text":
		return slog.New(slog.NewTextHandler(s.env.stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(s.env.stderr, options)), nil
	default:
		return nil, misuse{fmt.Errorf("%s: %q is neither text nor json", source, text)}
	}
}
