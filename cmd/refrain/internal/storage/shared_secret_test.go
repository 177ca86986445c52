package storage

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

// A sharedMemory is a store with a secret of its own.
type sharedMemory struct{ *memstore.Store }

func (sharedMemory) Audit(context.Context) ([]refrain.Remark, error) { return nil, nil }
func (sharedMemory) Secret(context.Context) ([]byte, error) {
	return []byte("the store's own secret"), nil
}

func TestTheSecretIsTheStoresUnlessGiven(t *testing.T) {
	t.Parallel()
	own, given := sharedMemory{memstore.New(memstore.Config{})}, sharedMemory{memstore.New(memstore.Config{})}
	defer own.Close()
	defer given.Close()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second process comes later
		got, err := sharedSecret(t.Context(), own, "")
		if err != nil || string(got) != "the store's own secret" {
			t.Errorf("got %q, %v", got, err)
		}
		got, err = sharedSecret(t.Context(), given, "file:"+file)
		if err != nil || !bytes.Equal(got, []byte("0123456789abcdef")) {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if err := os.WriteFile(file, []byte("0123456789abcdeF\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"another than was given": refused(t, given, "file:"+file),
		"none, after one":        refused(t, given, ""),
		"one, after none":        refused(t, own, "file:"+file),
	} {
		if !errors.Is(err, errOtherSecret) {
			t.Errorf("%s: got %v, want %v", what, err, errOtherSecret)
		}
	}
}

func refused(t *testing.T, store shared, reference string) error {
	t.Helper()
	_, err := sharedSecret(t.Context(), store, reference)
	return err
}

func TestAPoorSecretIsRefused(t *testing.T) {
	t.Parallel()
	store := sharedMemory{memstore.New(memstore.Config{})}
	defer store.Close()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for reference, want := range map[string]string{
		"env:REFRAIN_TEST_NO_SUCH_VARIABLE": "0 bytes",
		"file:" + file:                      "7 bytes",
		"file:" + file + ".none":            "no such file",
	} {
		_, err := sharedSecret(t.Context(), store, reference)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error with %q and without the secret", reference, err, want)
		}
	}
}
