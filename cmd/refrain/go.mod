module github.com/refrain-dev/refrain/cmd/refrain

go 1.26.0

require (
	github.com/goccy/go-yaml v1.19.2
	github.com/prometheus/client_golang v1.25.0
	github.com/refrain-dev/refrain v0.0.0
	github.com/spf13/cobra v1.10.2
)
