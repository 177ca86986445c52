package mysqlstore

import (
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/storetest"
)

// reopening is a store that the suite can restart.
type reopening struct {
	*Store
	url string
}

func (r reopening) Reopen(t *testing.T) refrain.Store {
	return reopening{openStore(t, r.url, Config{}), r.url}
}

func TestContract(t *testing.T) {
	t.Parallel()
	url := database(t, server(t))
	storetest.Run(t, func(t *testing.T) refrain.Store {
		return reopening{openStore(t, url, Config{}), url}
	})
}

// TestServersDefaults runs the suite on a server whose defaults are not what the statements need.
func TestServersDefaults(t *testing.T) {
	t.Parallel()
	on := startServer(t, "--autocommit=0", "--completion-type=1", "--transaction-isolation=SERIALIZABLE",
		"--sql-mode=ANSI,NO_BACKSLASH_ESCAPES,NO_AUTO_VALUE_ON_ZERO,PAD_CHAR_TO_FULL_LENGTH",
		"--auto-increment-increment=7", "--auto-increment-offset=3",
		"--character-set-server=utf8mb4", "--collation-server=utf8mb4_unicode_ci")
	url := database(t, on)
	exec(t, openPlain(t, url), "SET GLOBAL sql_safe_updates = 1, sql_select_limit = 1")
	storetest.Run(t, func(t *testing.T) refrain.Store {
		return reopening{openStore(t, url, Config{}), url}
	})
}

func BenchmarkStore(b *testing.B) {
	url := database(b, server(b))
	storetest.Bench(b, func(b *testing.B) refrain.Store { return openStore(b, url, Config{}) })
}
