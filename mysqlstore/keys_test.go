package mysqlstore

import (
	"context"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain"
)

// TestKeysThatACollationMerges claims keys that are one in a VARCHAR column: in another case, with a space behind them, with an
// accent, and alike for as long as a narrow column is. Each is an operation of its own.
func TestKeysThatACollationMerges(t *testing.T) {
	t.Parallel()
	url := database(t, server(t))
	s := openStore(t, url, Config{})
	defer s.Close()
	secret, err := s.Secret(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	guard, err := refrain.New(s, refrain.Config{Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	defer guard.Close(context.Background())
	long := strings.Repeat("1234567890", 20)
	for _, key := range []string{
		"Key-A", "key-a", "KEY-A", "Key-A ", "k\u00e9y-a", "ke\u0301y-a", "Key-A\x00", "\u017fKey-A", long + "A", long + "B",
	} {
		runs := 0
		for range 2 {
			out, err := refrain.Do(t.Context(), guard, refrain.Operation{
				Scope: refrain.Scope{Principal: "p", Route: "r"}, Key: key,
			}, func(context.Context) (string, error) {
				runs++
				return key, nil
			})
			if err != nil || out != key {
				t.Errorf("%q: got %q, error %v", key, out, err)
			}
		}
		if runs != 1 {
			t.Errorf("%q ran %d times", key, runs)
		}
	}
	var text int
	err = openPlain(t, url).QueryRow(`SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND
	table_name LIKE 'refrain\_%' AND table_name <> 'refrain_schema' AND character_set_name IS NOT NULL`).Scan(&text)
	if err != nil || text != 0 {
		t.Errorf("%d columns have a character set, error %v", text, err)
	}
}
