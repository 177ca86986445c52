module github.com/refrain-dev/refrain/test

go 1.26.0

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/refrain-dev/refrain v0.0.0
	pgregory.net/rapid v1.3.0
)
