package redisstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"
)

// An identity is that of a database. Its secret is in a key of the store's, and its mark is in every tag, where each script
// looks for it: no script decides in a database that is not the one it was, not even in a part of one.
type identity struct {
	secret [32]byte
	mark   string // 16 bytes, derived from the secret
	name   string // the mark in hexadecimal
}

func newIdentity(secret [32]byte) *identity {
	sum := sha256.Sum256(append([]byte("refrain identity\x00"), secret[:]...))
	return &identity{secret, string(sum[:16]), hex.EncodeToString(sum[:16])}
}

// making begins the value of the store's key until every tag has the mark.
const making = "making "

// parseIdentity reads the store's key.
func parseIdentity(value string) (id *identity, complete bool, err error) {
	text, incomplete := strings.CutPrefix(value, making)
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 32 {
		return nil, false, errors.New("the key of the store's identity cannot be read")
	}
	return newIdentity([32]byte(b)), !incomplete, nil
}

func (id *identity) value() string { return hex.EncodeToString(id.secret[:]) }

// findIdentity returns the database's identity, makes one for a database that never had any, and restores a lost one if an
// operator says so.
func (s *Store) findIdentity(ctx context.Context) (*identity, error) {
	id, complete, err := s.recognise(ctx)
	lost, isLost := errors.AsType[*LostError](err)
	switch {
	case isLost && id != nil:
		s.identity.Store(id)
		return id, s.mend(ctx, lost)
	case isLost && lost.Found == "":
		if yes, err := s.confirmed(ctx, lost.Identity); err != nil || !yes {
			return nil, errors.Join(lost, err)
		}
		return s.makeIdentity(ctx)
	case err != nil:
		return nil, err
	case id == nil:
		return s.makeIdentity(ctx)
	case !complete: // whoever began has ended, or is not done yet
		return id, s.install(ctx, id)
	}
	return id, nil
}

// recognise returns the database's identity, nil if it has none, and whether it was made to its end. The
// error is a *LostError if it has another than it should, or had one, or has lost a part of it.
func (s *Store) recognise(ctx context.Context) (id *identity, complete bool, err error) {
	value, marks, err := s.survey(ctx)
	if err != nil {
		return nil, false, err
	}
	if value == "" {
		was, err := s.formerly(ctx, marks)
		if err == nil && was != "" {
			err = s.lost(was, "", partOf(tagCount-marks[""]))
		}
		return nil, false, err
	}
	id, complete, err = parseIdentity(value)
	switch {
	case err != nil:
		return nil, false, err
	case s.cfg.Identity != "" && s.cfg.Identity != id.name:
		return nil, false, s.lost(s.cfg.Identity, id.name, "all")
	case complete && marks[id.mark] != tagCount:
		return id, false, s.lost(id.name, "", partOf(marks[id.mark]))
	}
	return id, complete, nil
}

// survey reads the store's key and counts the marks, without anybody having changed the key meanwhile.
func (s *Store) survey(ctx context.Context) (value string, marks map[string]int, err error) {
	for {
		if marks, err = s.marks(ctx); err != nil {
			return "", nil, err
		}
		before := value
		if value, err = s.get(ctx, s.names.store); err != nil || value == before {
			return value, marks, err
		}
	}
}

// makeIdentity begins in a database that has no identity.
func (s *Store) makeIdentity(ctx context.Context) (*identity, error) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails since Go 1.24
	id := newIdentity(secret)
	_, err := s.client.Do(ctx, s.client.B().Set().Key(s.names.store).Value(making+id.value()).Nx().Build()).ToString()
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, s.describe(fmt.Errorf("making the identity: %w", err))
	}
	value, err := s.get(ctx, s.names.store) // somebody else may have been quicker
	if err != nil {
		return nil, err
	}
	if id, _, err = parseIdentity(value); err != nil {
		return nil, err
	}
	return id, s.install(ctx, id)
}

// formerly returns the name of the identity that the database had before, as far as can be told.
func (s *Store) formerly(ctx context.Context, marks map[string]int) (name string, err error) {
	if s.cfg.Identity != "" {
		return s.cfg.Identity, nil
	}
	most := 0
	for mark, n := range marks {
		if mark != "" && n > most {
			most, name = n, hex.EncodeToString([]byte(mark))
		}
	}
	if name == "" {
		name, err = s.get(ctx, s.names.lost)
	}
	return name, err
}

// install gives the database the identity. Doing it twice does no harm.
func (s *Store) install(ctx context.Context, id *identity) error {
	adopt := make(rueidis.Commands, 0, tagCount)
	for _, tag := range s.names.tags {
		adopt = append(adopt, adoptScript.command(s.client.B(), false, []string{tag}, []string{id.mark}))
	}
	for _, r := range s.client.DoMulti(ctx, adopt...) {
		if err := r.Error(); err != nil {
			return s.describe(fmt.Errorf("writing the identity: %w", err))
		}
	}
	b := s.client.B()
	for _, c := range []rueidis.Completed{
		b.Set().Key(s.names.store).Value(id.value()).Build(), b.Del().Key(s.names.lost).Build(),
		b.Del().Key(s.names.confirm).Build(),
	} {
		if err := s.client.Do(ctx, c).Error(); err != nil {
			return s.describe(fmt.Errorf("writing the identity: %w", err))
		}
	}
	return nil
}

// partOf says how much is lost when so many tags are left.
func partOf(left int) string {
	if left == 0 {
		return "all"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(tagCount-left)/tagCount)
}

// check sees whether the database is still the one it was.
func (s *Store) check(ctx context.Context) error {
	value, err := s.get(ctx, s.names.store)
	if err != nil {
		return err
	}
	id := s.identity.Load()
	lost := (*LostError)(nil)
	if f := s.fault.Load(); value == id.value() && (f == nil || !errors.As(f.err, &lost)) {
		return nil // the scripts look at the tags
	}
	marks, err := s.marks(ctx)
	switch {
	case err != nil:
		return err
	case value == id.value() && marks[id.mark] == tagCount:
		return nil
	}
	lost = s.lost(id.name, "", partOf(marks[id.mark]))
	if found, _, err := parseIdentity(value); err == nil && found.name != id.name {
		lost.Found = found.name
	}
	return lost
}

// mend gives the database that was lost its identity back if an operator says so, and else leaves word, so that whoever begins
// now does not take an emptied one for new.
func (s *Store) mend(ctx context.Context, lost *LostError) error {
	switch yes, err := s.confirmed(ctx, lost.Identity); {
	case err != nil:
		return err
	case yes:
		s.log.Warn("an operator has confirmed that the store may go on although it has lost records", "store", s.target)
		return s.install(ctx, s.identity.Load())
	case lost.Found == "":
		word := s.client.B().Set().Key(s.names.lost).Value(lost.Identity).Nx().Build()
		if err := s.client.Do(ctx, word).Error(); err != nil && !rueidis.IsRedisNil(err) {
			return s.describe(fmt.Errorf("leaving word of the loss: %w", err))
		}
	}
	return lost
}

// confirmed reports whether an operator has said that the loss of the identity is acceptable.
func (s *Store) confirmed(ctx context.Context, name string) (bool, error) {
	value, err := s.get(ctx, s.names.confirm)
	return value == name, err
}

// marks counts the tags by their marks; those that are missing have none.
func (s *Store) marks(ctx context.Context) (map[string]int, error) {
	gets := make(rueidis.Commands, 0, tagCount)
	for _, tag := range s.names.tags {
		gets = append(gets, s.client.B().Get().Key(tag).Build())
	}
	marks := make(map[string]int)
	for _, r := range s.client.DoMulti(ctx, gets...) {
		tag, err := r.ToString()
		if err != nil && !rueidis.IsRedisNil(err) {
			return nil, s.describe(fmt.Errorf("reading the identity: %w", err))
		}
		marks[tag[:min(len(tag), 16)]]++
	}
	return marks, nil
}

// get reads a key; one that is not there is empty.
func (s *Store) get(ctx context.Context, key string) (string, error) {
	value, err := s.client.Do(ctx, s.client.B().Get().Key(key).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return "", nil
	}
	if err != nil {
		err = s.describe(fmt.Errorf("reading %s: %w", key, err))
	}
	return value, err
}
