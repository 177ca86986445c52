package shop

import (
	"strings"
	"testing"
)

// Both names of PostgreSQL's scheme are its own, and no file of SQLite's.
func TestBothSchemesArePostgres(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"postgres", "postgresql"} {
		_, err := Open(t.Context(), scheme+"://127.0.0.1:1/shop")
		if err == nil || !strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: got %v, want that there is no server", scheme, err)
		}
	}
}
