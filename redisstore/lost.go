package redisstore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"

	"github.com/refrain-dev/refrain"
)

// A LostError says that the database is not the one it should be: it was emptied, or is another, or a replica that had not got
// it has become the master. It is a refrain.ErrUnavailable. What the database knew is forgotten in whole or in part, so that
// running an operation may be running it again; nothing runs until an operator confirms that this is acceptable.
type LostError struct {
	Identity string // the one that the database should have
	Found    string // the one that it has, if it has another
	Part     string // how much is lost
	confirm  string // what redis-cli takes to confirm it, but for the identity
}

func (e *LostError) Error() string {
	what := "it lost " + e.Part + " of it"
	if e.Found != "" {
		what = "it is the database " + e.Found
	}
	return fmt.Sprintf("the database is not %s any more, %s (FLUSHALL, another database or server, or a failover to a replica "+
		"that did not have it); to go on, although what it knew may run again: redis-cli %s %[1]s", e.Identity, what, e.confirm)
}

// Is reports that it is a refrain.ErrUnavailable.
func (e *LostError) Is(target error) bool { return target == refrain.ErrUnavailable }

// refused says what an error means that the server returned.
func (s *Store) refused(r *rueidis.RedisError) error {
	text := r.Error()
	switch {
	case strings.HasPrefix(text, "LOST"):
		return s.lose()
	case strings.Contains(text, "OOM command not allowed"):
		return fmt.Errorf("%w: %s", refrain.ErrFull, text)
	}
	return errors.New(text)
}

// lose remembers that a part of the database is not the one that it was, and has the watch look closer.
func (s *Store) lose() error {
	if f := s.fault.Load(); f != nil {
		if lost := (*LostError)(nil); errors.As(f.err, &lost) {
			return lost
		}
	}
	lost := s.lost(s.identity.Load().name, "", "a part")
	s.blame(&fault{err: lost})
	select {
	case s.poke <- struct{}{}:
	default:
	}
	return lost
}

func (s *Store) lost(identity, found, part string) *LostError {
	confirm := "SET " + s.names.confirm
	switch {
	case s.target.kind == cluster:
		confirm = "-c " + confirm
	case s.target.db != 0:
		confirm = fmt.Sprintf("-n %d %s", s.target.db, confirm)
	}
	return &LostError{Identity: identity, Found: found, Part: part, confirm: confirm}
}

// blame makes f why the store must not go on; nil means that it may.
func (s *Store) blame(f *fault) {
	was := s.fault.Swap(f)
	switch {
	case f == nil && was != nil:
		s.log.Info("the store goes on", "store", s.target)
	case f != nil && (was == nil || was.err.Error() != f.err.Error()):
		s.log.Error("the store refuses to go on", "store", s.target, "err", f.err)
	}
}
