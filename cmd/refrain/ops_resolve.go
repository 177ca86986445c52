package main

import (
	"errors"
	"fmt"
	"io"
	"os/user"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/operations"
)

func newOpsResolve(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resolve ID",
		Short: "Say what became of an unknown operation",
		Long: `Resolve ends an unknown operation for good. With --happened, retries get the answer that
you give with --status, -H and --body, or word that it is done. With --did-not-happen,
the next retry runs: be certain that it did not happen and is not under way.

Give the fence that show printed as --fence: if the operation has changed since you looked
at it, nothing is done. Who, why and what go to the proxy's log.`,
		Example: `  refrain ops resolve 5d41402abc4b2a76 --happened --status 201 -H 'Content-Type: application/json' \
      --body @charge.json --reason 'charge ch_7 is in the ledger, INC-7'
  refrain ops resolve 5d41402abc4b2a76 --did-not-happen --fence 3 --reason 'not in the ledger, INC-7'`,
		Args: exactly("ID"),
	}
	c := newConsole(env, cmd)
	w := newWord(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		said, err := w.resolution()
		if err != nil {
			return err
		}
		client, err := c.client()
		if err != nil {
			return err
		}
		if said.Fence == 0 {
			op, err := client.Get(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if op.State != "unknown" {
				return fmt.Errorf("the operation is %s; only an unknown one can be resolved", op.State)
			}
			said.Fence = op.Fence
		}
		op, err := client.Resolve(cmd.Context(), args[0], said)
		if err != nil {
			return err
		}
		return c.print(op, func(out io.Writer) error { return writeOperation(out, &op) })
	}
	return cmd
}

var (
	errNoOutcome = errors.New("say which it is: --happened or --did-not-happen")
	errNoReason  = errors.New("say why, with --reason; it goes to the log")
)

// A word is what the flags of resolve say.
type word struct {
	happened, didNot *bool
	fence            *uint64
	status           *int
	headers          *[]string
	body, reason, by *string
}

func newWord(cmd *cobra.Command) *word {
	f := cmd.Flags()
	w := &word{
		happened: f.Bool("happened", false, "it happened: retries get its answer"),
		didNot:   f.Bool("did-not-happen", false, "it did not happen and is not under way: the next retry runs"),
		status:   f.Int("status", 0, "the answer's status"),
		headers:  f.StringArrayP("header", "H", nil, "a header of the answer, as 'Name: value'"),
		body:     f.String("body", "", "the answer's body: text, or @FILE"),
		reason:   f.String("reason", "", "why; it goes to the log, so it must not contain a key"),
		by:       f.String("by", "", "who decided it (default the user who runs this)"),
		fence:    f.Uint64("fence", 0, "as show printed it; refused if the operation has changed since (default as it is now)"),
	}
	return w
}

func (w *word) resolution() (said operations.Resolution, err error) {
	said = operations.Resolution{Status: *w.status, Fence: *w.fence, Reason: *w.reason, By: *w.by}
	switch {
	case *w.happened == *w.didNot:
		return said, misuse{errNoOutcome}
	case *w.reason == "":
		return said, misuse{errNoReason}
	case *w.happened:
		said.Outcome = operations.Happened
	default:
		said.Outcome = operations.DidNotHappen
	}
	if said.By, err = whoever(said.By); err != nil {
		return said, err
	}
	answer, err := newRequest("GET", "/", *w.headers)
	if err != nil {
		return said, misuse{err}
	}
	said.Headers = answer.Header
	body, err := content(*w.body)
	if err != nil {
		return said, err
	}
	setBody(&said, body)
	return said, nil
}

// whoever returns the name that was given, or else that of the user who runs this.
func whoever(by string) (string, error) {
	if by != "" {
		return by, nil
	}
	who, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("who are you? Say it with --by: %w", err)
	}
	return who.Username, nil
}

// setBody puts a body into the resolution in the form that it can have in JSON.
func setBody(r *operations.Resolution, body []byte) {
	if utf8.Valid(body) {
		r.Body = string(body)
	} else {
		r.Binary = body
	}
}
