//go:build !unix

package servers

import "context"

// lock does nothing where there is no apt either.
func lock(context.Context, string) (unlock func(), err error) { return func() {}, nil }
