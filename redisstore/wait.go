package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// waits reports whether what a script does or returns has to be confirmed.
func (s *Store) waits() bool { return s.cfg.Wait > 0 || s.cfg.WaitFsync }

// sendAndWait sends a script and then, on the same connection, waits for the replicas. It waits also when the script changed
// nothing: what it returns may be somebody else's write, which is not to be shown before it is safe.
func (s *Store) sendAndWait(
	ctx context.Context, sc *script, named bool, keys, args []string,
) (rueidis.RedisMessage, error) {
	b := s.client.B()
	commands := []rueidis.Completed{sc.command(b, named, keys, args), s.waitCommand(ctx, b)}
	var results []rueidis.RedisResult
	if s.target.kind == cluster {
		// Not by DoMulti of the client itself, which would send only the script to another node when it is told to.
		err := s.client.Dedicated(func(c rueidis.DedicatedClient) error {
			results = c.DoMulti(ctx, commands...)
			return nil
		})
		if err != nil {
			return rueidis.RedisMessage{}, err
		}
	} else {
		results = s.client.DoMulti(ctx, commands...)
	}
	m, err := results[0].ToMessage()
	if err != nil {
		return m, err
	}
	return m, s.waited(results[1])
}

func (s *Store) waitCommand(ctx context.Context, b rueidis.Builder) rueidis.Completed {
	patience := s.cfg.WaitTimeout
	if d, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(d))
	}
	ms := max(patience.Milliseconds(), 1) // 0 would be for ever
	if s.cfg.WaitFsync {
		return b.Arbitrary("WAITAOF", "1", strconv.Itoa(s.cfg.Wait), strconv.FormatInt(ms, 10)).Blocking()
	}
	return b.Wait().Numreplicas(int64(s.cfg.Wait)).Timeout(ms).Build()
}

// waited reports a shortfall.
func (s *Store) waited(r rueidis.RedisResult) error {
	if !s.cfg.WaitFsync {
		n, err := r.AsInt64()
		return s.shortfall(1, n, err)
	}
	n, err := r.AsIntSlice()
	if err == nil && len(n) != 2 {
		err = errNonsense
	}
	if err != nil {
		return fmt.Errorf("waiting for the disks: %w", err)
	}
	return s.shortfall(n[0], n[1], nil)
}

func (s *Store) shortfall(disk, replicas int64, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("waiting for the replicas: %w", err)
	case disk < 1:
		return fmt.Errorf("the server has not written it to its disk within %s", s.cfg.WaitTimeout)
	case replicas < int64(s.cfg.Wait):
		return fmt.Errorf("%d of %d replicas have confirmed it within %s", replicas, s.cfg.Wait, s.cfg.WaitTimeout)
	}
	return nil
}
