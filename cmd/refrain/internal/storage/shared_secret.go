package storage

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/refrain-dev/refrain"
)

const (
	minSecret = 16
	// century is as long as all stores can count.
	century = 100 * 365 * 24 * time.Hour
)

// sharedSecret returns the secret that a reference names, or else the store's own, once it is sure that every other process
// on the store has the same.
func sharedSecret(ctx context.Context, store shared, reference string) ([]byte, error) {
	secret, err := secretOf(ctx, store, reference)
	if err != nil {
		return nil, err
	}
	return secret, agree(ctx, store, secret)
}

func secretOf(ctx context.Context, store shared, reference string) ([]byte, error) {
	if reference == "" {
		return store.Secret(ctx)
	}
	return readSecret(reference)
}

// readSecret returns what env:NAME or file:PATH holds, without a line break at its end.
func readSecret(reference string) ([]byte, error) {
	kind, name, _ := strings.Cut(reference, ":")
	text := os.Getenv(name)
	if kind == "file" {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading the secret: %w", err)
		}
		text = strings.TrimRight(string(b), "\r\n")
	}
	if len(text) < minSecret {
		return nil, fmt.Errorf("the secret in %s has %d bytes; it needs at least %d, such as `openssl rand -hex 32` prints",
			reference, len(text), minSecret)
	}
	return []byte(text), nil
}

// secretRemark says whether the secret can be read; only the store knows whether it is the one.
func secretRemark(reference string) refrain.Remark {
	r := refrain.Remark{Grade: refrain.GradeOK, Subject: "secret", Text: "read from " + reference}
	if _, err := readSecret(reference); err != nil {
		r.Grade, r.Text = refrain.GradeFault, err.Error()
	}
	return r
}

var errOtherSecret = errors.New("the operations in this store were recorded under another secret: under this one each would " +
	"look new, and would run again; bring the old secret back, or use an empty store")

// agree sees to it that one store is used with one secret. The store has a record whose token is made of the secret: whoever
// comes first claims it, and everyone else compares.
func agree(ctx context.Context, store refrain.Store, secret []byte) error {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("refrain: is this the secret?"))
	claim := refrain.Claim{
		ID: refrain.ID(sha256.Sum256([]byte("refrain: the secret"))), Token: refrain.Token(mac.Sum(nil)), Lease: time.Minute,
	}
	d, err := store.Claim(ctx, claim)
	if err != nil {
		return fmt.Errorf("comparing the secret: %w", err)
	}
	if d.Record.Token != claim.Token {
		return errOtherSecret
	}
	_, err = store.Settle(ctx, refrain.Settlement{
		ID: claim.ID, Token: claim.Token, Ending: refrain.Finished, Outcome: &refrain.Outcome{Omitted: true}, Retention: century,
	})
	if err != nil {
		return fmt.Errorf("keeping what tells the secret: %w", err)
	}
	return nil
}
