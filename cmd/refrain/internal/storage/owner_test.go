package storage

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
)

// TestAJournalIsOfOneStore opens another store while outcomes wait for the one before, as with the wrong URL: they are kept for it.
func TestAJournalIsOfOneStore(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	cfg := func(file string) *config.Config {
		url := "sqlite:" + t.TempDir() + "/" + file
		return &config.Config{Store: config.Store{Scheme: "sqlite", URL: url}, Journal: dir}
	}
	right, wrong := cfg("right.db"), cfg("wrong.db")
	opened := func(c *config.Config) *Storage {
		t.Helper()
		s, err := Open(t.Context(), c, log)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	closed := func(s *Storage) {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	closed(opened(wrong)) // while nothing waits the journal is anybody's
	s := opened(right)
	entry := refrain.JournalEntry{
		ID: refrain.ID{1}, Retention: time.Hour, Tombstone: time.Hour,
		Record: refrain.Record{State: refrain.StateDone, Token: refrain.NewToken(), Outcome: &refrain.Outcome{Status: 201}},
	}
	if err := s.Journal.Append(entry); err != nil {
		t.Fatal(err)
	}
	closed(s)
	embedded := &config.Config{Store: config.Store{Scheme: "pebble", Dir: dir}}
	for _, other := range []*config.Config{wrong, embedded} {
		if _, err := Open(t.Context(), other, log); err == nil || !strings.Contains(err.Error(), "1 outcomes of another store") {
			t.Errorf("%s: got error %v, want that the journal is another store's", other.Store.Scheme, err)
		}
	}
	s = opened(right)
	defer closed(s)
	if kept, err := s.Journal.Entries(); err != nil || len(kept) != 1 || kept[0].ID != entry.ID {
		t.Errorf("got %v, error %v, want the outcome that waits", kept, err)
	}
}
