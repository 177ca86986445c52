package redisstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // how Redis names scripts
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/refrain-dev/refrain"
)

// The scripts. The first part of those of transitions is the same.
var (
	//go:embed lua/common.lua
	commonLua string
	//go:embed lua/claim.lua
	claimLua string
	//go:embed lua/settle.lua
	settleLua string
	//go:embed lua/renew.lua
	renewLua string
	//go:embed lua/get.lua
	getLua string
	//go:embed lua/adopt.lua
	adoptLua string

	claimScript  = newScript(commonLua + claimLua)
	settleScript = newScript(commonLua + settleLua)
	renewScript  = newScript(commonLua + renewLua)
	getScript    = newScript(commonLua + getLua)
	adoptScript  = newScript(adoptLua)
)

// A script runs in the server.
type script struct{ text, sha string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // as above
	return script{text, hex.EncodeToString(sum[:])}
}

// command returns the command that runs the script, by its name or with its text.
func (sc *script) command(b rueidis.Builder, named bool, keys, args []string) rueidis.Completed {
	n := int64(len(keys))
	if named {
		return b.Evalsha().Sha1(sc.sha).Numkeys(n).Key(keys...).Arg(args...).Build()
	}
	return b.Eval().Script(sc.text).Numkeys(n).Key(keys...).Arg(args...).Build()
}

// run runs a script of a transition, and is back when ctx ends.
func (s *Store) run(ctx context.Context, sc *script, id *refrain.ID, args ...string) (answer, error) {
	if err := s.usable(); err != nil {
		return answer{}, err
	}
	keys := s.names.of(id)
	mark := s.identity.Load().mark
	waits := "0"
	if s.waits() {
		waits = "1"
	}
	args = append([]string{mark, waits}, args...)
	m, err := s.bounded(ctx, func(ctx context.Context) (rueidis.RedisMessage, error) { return s.exec(ctx, sc, keys[:], args) })
	if err != nil {
		return answer{}, err
	}
	return newAnswer(keys[1], &m)
}

// crowd is how many calls may be under way of which none is left behind. A connection takes about twice as many commands, and
// whoever brings more waits for it without a look at his context.
const crowd = 512

// bounded makes a call that returns when ctx ends. The client sees to that by itself, except while it dials and while a
// connection that does not answer is full. So a call is left behind if it takes a connection of its own, if there is a crowd, or
// if the one before went wrong.
func (s *Store) bounded(
	ctx context.Context, call func(context.Context) (rueidis.RedisMessage, error),
) (m rueidis.RedisMessage, err error) {
	defer s.under.Add(-1)
	if s.under.Add(1) <= crowd && !s.waits() && !s.troubled.Load() {
		m, err = call(ctx)
	} else {
		m, err = s.leave(ctx, call)
	}
	if failed := err != nil; s.troubled.Load() != failed {
		s.troubled.Store(failed)
	}
	return m, err
}

// leave makes a call that is left behind when ctx ends or the store is closed. It has time to connect, for itself and for those
// who wait for the same connection.
func (s *Store) leave(
	ctx context.Context, call func(context.Context) (rueidis.RedisMessage, error),
) (rueidis.RedisMessage, error) {
	type result struct {
		m   rueidis.RedisMessage
		err error
	}
	done := make(chan result, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.patience())
		defer cancel()
		m, err := call(ctx)
		done <- result{m, err}
	}()
	select {
	case r := <-done:
		return r.m, r.err
	case <-ctx.Done():
		return rueidis.RedisMessage{}, ctx.Err()
	case <-s.stopped:
		return rueidis.RedisMessage{}, refrain.ErrClosed
	}
}

// patience is how long a call goes on that its caller has left, at most: as long as the server and the replicas may take.
func (s *Store) patience() time.Duration {
	if s.waits() {
		return dialTimeout + replyTimeout + s.cfg.WaitTimeout
	}
	return dialTimeout + replyTimeout
}

// exec sends the script's name, and its text if the server does not know it. Nothing else is sent twice but what the server
// says that it has not done.
func (s *Store) exec(ctx context.Context, sc *script, keys, args []string) (rueidis.RedisMessage, error) {
	named := true
	for {
		m, err := s.send(ctx, sc, named, keys, args)
		r, answered := rueidis.IsRedisErr(err)
		switch {
		case err == nil:
			return m, nil
		case !answered:
			return m, err
		case r.IsNoScript() && named:
			named = false
		case r.IsTryAgain(): // some of the keys have moved to another node, and not yet all
			if err := pause(ctx, 5*time.Millisecond); err != nil {
				return m, err
			}
		default:
			return m, s.refused(r)
		}
	}
}

// send sends it once, and waits for the replicas if told so.
func (s *Store) send(ctx context.Context, sc *script, named bool, keys, args []string) (rueidis.RedisMessage, error) {
	if s.waits() {
		return s.sendAndWait(ctx, sc, named, keys, args)
	}
	return s.client.Do(ctx, sc.command(s.client.B(), named, keys, args)).ToMessage()
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newAnswer reads what a script returned.
func newAnswer(key string, m *rueidis.RedisMessage) (a answer, err error) {
	if m.IsInt64() {
		a.code, err = m.AsInt64()
		return a, err
	}
	parts, err := m.ToArray()
	if err != nil || len(parts) < 2 {
		return a, fmt.Errorf("the script's answer has %d parts: %w", len(parts), errors.Join(err, errNonsense))
	}
	now, err1 := parts[0].AsInt64()
	code, err2 := parts[1].AsInt64()
	if err := errors.Join(err1, err2); err != nil {
		return a, fmt.Errorf("the script's answer: %w", err)
	}
	a.now, a.code, a.key = at(now), code, key
	for i, into := range [...]*string{&a.head, &a.outcome} {
		if len(parts) <= 2+i || parts[2+i].IsNil() {
			continue
		}
		a.exists = true
		if *into, err = parts[2+i].ToString(); err != nil {
			return a, fmt.Errorf("part %s of the script's answer: %w", strconv.Itoa(2+i), err)
		}
	}
	return a, nil
}

var errNonsense = errors.New("it makes no sense")
