package refrainhttp_test

import (
	"io"
	"log"
	"runtime"
)

// discardLog is for servers whose handlers panic on purpose.
func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

// goexit ends the goroutine of a handler.
func goexit() { runtime.Goexit() }
