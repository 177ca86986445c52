// Command refrain puts an idempotency layer in front of an HTTP API.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
)

func main() {
	os.Exit(run(environment{
		args: os.Args[1:], getenv: os.Getenv, stdout: os.Stdout, stderr: os.Stderr,
	}))
}

// An environment is what a process is given.
type environment struct {
	args           []string
	getenv         func(string) string
	stdout, stderr io.Writer
}

// The exit statuses.
const (
	statusGood   = 0
	statusFault  = 1 // what was asked for went wrong, or a fault was found
	statusMisuse = 2 // what was asked for makes no sense
)

// run runs one command and returns the exit status.
func run(env environment) int {
	root := newRoot(env)
	unknown := answerHelp(root)
	cmd, err := root.ExecuteContextC(context.Background())
	if err == nil {
		err = *unknown
	}
	if err == nil {
		return statusGood
	}
	if errors.Is(err, errFound) {
		return statusFault // what was found is told already
	}
	fmt.Fprintf(env.stderr, "refrain: %s\n", err)
	if !isMisuse(err) {
		return statusFault
	}
	fmt.Fprintf(env.stderr, "Run '%s --help' for how to use it.\n", cmd.CommandPath())
	return statusMisuse
}

// errFound says that a command did its work and found a fault.
var errFound = errors.New("found a fault")

// A misuse is an error in how a command was called.
type misuse struct{ error }

func (m misuse) Unwrap() error { return m.error }

// isMisuse reports whether the error is in the command line or in the environment variables.
func isMisuse(err error) bool {
	if _, ok := errors.AsType[misuse](err); ok {
		return true
	}
	problems, _ := errors.AsType[config.Problems](err)
	for _, p := range problems {
		if p.Origin.Outside() {
			return true
		}
	}
	return false
}
