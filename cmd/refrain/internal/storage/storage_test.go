package storage

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/cmd/refrain/internal/config"
	"github.com/refrain-dev/refrain/journal"
)

func open(dir string) (*Storage, error) {
	return Open(context.Background(), &config.Config{Store: config.Store{Scheme: "pebble", Dir: dir}}, slog.New(slog.DiscardHandler))
}

func mustOpen(t *testing.T, dir string) *Storage {
	t.Helper()
	s, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSecretIsMadeOnceAndKept(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first := mustOpen(t, dir)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "secret"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got %v, %v, want a secret of mode 0600", info, err)
	}
	second := mustOpen(t, dir)
	defer second.Close()
	if len(first.Secret) != secretSize || !bytes.Equal(first.Secret, second.Secret) {
		t.Errorf("got %d bytes, then others, want the same %d", len(first.Secret), secretSize)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*.tmp"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSecretsDiffer(t *testing.T) {
	t.Parallel()
	one, two := mustOpen(t, t.TempDir()), mustOpen(t, t.TempDir())
	defer one.Close()
	defer two.Close()
	if bytes.Equal(one.Secret, two.Secret) {
		t.Error("two stores have the same secret")
	}
}

func TestStoreWithoutItsSecretIsNotOpened(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(string) error{
		"lost its secret": os.Remove,
		"has 3 bytes":     func(name string) error { return os.WriteFile(name, []byte("abc"), 0o600) },
	} {
		dir := t.TempDir()
		if err := mustOpen(t, dir).Close(); err != nil {
			t.Fatal(err)
		}
		if err := damage(filepath.Join(dir, "secret")); err != nil {
			t.Fatal(err)
		}
		s, err := open(dir)
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "backup") {
			t.Errorf("got %v, want an error with %q and what to do", err, name)
		}
	}
}

func TestMemoryStoreLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), &config.Config{Store: config.Store{Scheme: "memory"}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if s.Journal != nil || len(s.Secret) != secretSize || s.Tier() != refrain.TierVolatile {
		t.Errorf("got journal %v, %d bytes of secret, tier %s", s.Journal, len(s.Secret), s.Tier())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestReadyTellsThatTheStoreIsClosed(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	if err := s.Ready(context.Background()); err != nil || s.Tier() != refrain.TierStrict {
		t.Errorf("got %v and tier %s, want a ready store of tier strict", err, s.Tier())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(context.Background()); err == nil {
		t.Error("a closed store says that it is ready")
	}
}

// Two processes may have the file of sqlite: open at once; they have one secret.
func TestOneFileForSeveral(t *testing.T) {
	t.Parallel()
	url, err := config.ParseStore("sqlite:" + filepath.Join(t.TempDir(), "refrain.db"))
	if err != nil {
		t.Fatal(err)
	}
	var secrets [2][]byte
	for i := range secrets {
		s, err := Open(t.Context(), &config.Config{Store: url, Journal: t.TempDir()}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Ready(t.Context()); err != nil || s.Tier() != refrain.TierStrict || s.Journal == nil {
			t.Errorf("got %v, tier %s and journal %v, want a ready store of tier strict with a journal", err, s.Tier(), s.Journal)
		}
		secrets[i] = s.Secret
	}
	if len(secrets[0]) != secretSize || !bytes.Equal(secrets[0], secrets[1]) {
		t.Errorf("got secrets of %d and %d bytes, want the same of %d", len(secrets[0]), len(secrets[1]), secretSize)
	}
}

// Two processes that were given one folder for their journals are told which field parts them.
func TestOneJournalForTwoIsRefused(t *testing.T) {
	t.Parallel()
	url, err := config.ParseStore("sqlite:" + filepath.Join(t.TempDir(), "refrain.db"))
	if err != nil {
		t.Fatal(err)
	}
	cfg, log := &config.Config{Store: url, Journal: t.TempDir()}, slog.New(slog.DiscardHandler)
	first, err := Open(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := Open(t.Context(), cfg, log); !errors.Is(err, journal.ErrInUse) || !strings.Contains(err.Error(), "the field journal") {
		t.Errorf("got %v, want one that names the field journal", err)
	}
}
