package storage

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/refrain-dev/refrain/journal"
)

// ownerName is the file beside a journal that names the store which it is for.
const ownerName = "outcomes.store"

// own sees to it that a journal is brought to the store that it is for, which the secret tells that was made with the store.
// Another one has never heard of its operations, and would refuse what became of them for good.
func own(dir string, j *journal.Journal, secret []byte) error {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("refrain: whose journal is this?"))
	store := hex.EncodeToString(mac.Sum(nil))
	path := filepath.Join(dir, ownerName)
	owner, err := os.ReadFile(path)
	switch {
	case err == nil && string(owner) == store:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("reading whose journal it is: %w", err)
	}
	waiting, failed := j.Entries()
	if failed != nil {
		return failed
	}
	if err == nil && len(waiting) > 0 {
		return fmt.Errorf("the journal in %s has %d outcomes of another store, which this one would refuse: bring that one back, "+
			"or move %s and outcomes.journal away to give them up", dir, len(waiting), ownerName)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("naming the journal's store: %w", err)
	}
	if err := writeDurably(dir, path, []byte(store)); err != nil {
		return fmt.Errorf("naming the journal's store: %w", err)
	}
	return nil
}
