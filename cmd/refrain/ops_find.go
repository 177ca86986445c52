package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/operations"
)

func newOpsFind(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "find METHOD PATH",
		Short: "Find the operation that a client's request stands for",
		Long: `Find asks the running proxy which operation a request stands for. Give it the part of the
request that has the key, and the part that says who the client is; it prints the ID,
which show, resolve and forget take. Others on this machine can see what is on a command
line, and the shell keeps it: write @FILE in place of a header's value, or of the body,
to have it read from a file.`,
		Example: `  refrain ops find POST /charges -H 'Idempotency-Key: k1' -H 'Authorization: @token.txt'`,
		Args:    exactly("METHOD", "PATH"),
	}
	c := newConsole(env, cmd)
	headers := cmd.Flags().StringArrayP("header", "H", nil, "a header of the request, as 'Name: value' or 'Name: @FILE'")
	from := cmd.Flags().String("from", "", "the IP address that it came from, if that says who the client is")
	body := cmd.Flags().String("body", "", "its body, if the key is in it: text, or @FILE")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asked, err := newFind(args[0], args[1], *headers)
		if err != nil {
			return misuse{err}
		}
		text, err := content(*body)
		if err != nil {
			return err
		}
		asked.Body, asked.Remote = string(text), *from
		client, err := c.client()
		if err != nil {
			return err
		}
		op, err := client.Find(cmd.Context(), asked)
		if err != nil {
			return err
		}
		return c.print(op, func(out io.Writer) error { return writeOperation(out, &op) })
	}
	return cmd
}

// newFind returns the request that the arguments describe.
func newFind(method, target string, headers []string) (operations.Request, error) {
	r, err := newRequest(method, target, headers)
	if err != nil {
		return operations.Request{}, err
	}
	if r.Host != "localhost" {
		r.Header.Set("Host", r.Host)
	}
	for _, lines := range r.Header {
		for i, line := range lines {
			value, err := content(line)
			if err != nil {
				return operations.Request{}, err
			}
			lines[i] = strings.TrimSpace(string(value))
		}
	}
	return operations.Request{Method: r.Method, URL: target, Headers: r.Header}, nil
}

// content returns what an argument says: itself, or what is in the file that it names by @FILE.
func content(argument string) ([]byte, error) {
	name, isFile := strings.CutPrefix(argument, "@")
	if !isFile {
		return []byte(argument), nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading an argument: %w", err)
	}
	return text, nil
}
