package storage

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	secretName = "secret"
	secretSize = 32
)

// newSecret returns a fresh random secret.
func newSecret() []byte {
	secret := make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails since Go 1.24
	return secret
}

// loadSecret returns the secret that keys the hashes in the store under dir. It is created with the store and kept: under
// another secret every recorded operation would look new, and would run again.
func loadSecret(dir string) ([]byte, error) {
	name := filepath.Join(dir, secretName)
	secret, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return createSecret(dir, name)
	case err != nil:
		return nil, fmt.Errorf("reading the store's secret: %w", err)
	case len(secret) != secretSize:
		return nil, fmt.Errorf("the store's secret %s has %d bytes, not %d; bring it back from a backup", name,
			len(secret), secretSize)
	}
	return secret, nil
}

func createSecret(dir, name string) ([]byte, error) {
	if _, err := os.Stat(filepath.Join(dir, storeName)); err == nil {
		return nil, fmt.Errorf("the store in %s has lost its secret: without %s its operations would run again; "+
			"bring it back from a backup, or move the directory away to forget them", dir, name)
	}
	secret := newSecret()
	if err := writeDurably(dir, name, secret); err != nil {
		return nil, fmt.Errorf("creating the store's secret: %w", err)
	}
	return secret, nil
}

// writeDurably creates the file whole or not at all, and never replaces one that another process made meanwhile.
func writeDurably(dir, name string, data []byte) error {
	tmp, err := os.CreateTemp(dir, secretName+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), name); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
