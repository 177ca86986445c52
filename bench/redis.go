package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/servers"
	"github.com/refrain-dev/refrain/redisstore"
)

// redisClients is how many operations or connections the Redis server has at a time.
const redisClients = 64

// redis compares claim and finish through the Redis store with redis-benchmark, which sends the same two scripts to the same
// server and does nothing with the answers.
func (b *bench) redis(ctx context.Context) ([]result, error) {
	path, err := servers.Find(ctx, "redis-benchmark", "redis-tools")
	if missing := (*servers.Missing)(nil); errors.As(err, &missing) {
		return nil, skipped(missing.Error())
	}
	if err != nil {
		return nil, err
	}
	server, err := servers.StartRedis(ctx, b.dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = server.Stop() }()
	r := redisBench{server: server, program: path, turn: b.plan.turn()}
	parties := [2]side{
		{"Refrain", func() (float64, error) { return r.ours(ctx) }},
		{"redis-benchmark", func() (float64, error) { return r.theirs(ctx) }},
	}
	const what = "Redis, claim and finish, 512 B, 64 at a time"
	got, err := warmDuel(what, b.plan.rounds, parties[0], parties[1])
	if err != nil {
		return nil, err
	}
	return []result{atLeast(0.7, what, "/s", got, parties[1].name+", the same scripts")}, nil
}

type redisBench struct {
	server  *servers.Redis
	program string
	turn    time.Duration
	rate    float64 // of our last turn, which tells how much is work for a turn
}

// open empties the server and opens a store in it.
func (r *redisBench) open(ctx context.Context) (*redisstore.Store, error) {
	if _, err := r.server.Call(ctx, "FLUSHALL"); err != nil {
		return nil, err
	}
	return redisstore.Open(ctx, r.server.URL(), redisstore.Config{AuditEvery: time.Hour})
}

// ours claims and finishes operations, and returns how many a second.
func (r *redisBench) ours(ctx context.Context) (float64, error) {
	s, err := r.open(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.Close() }()
	r.rate, err = together(redisClients, r.turn, func() error { return execute(ctx, s) })
	return r.rate, err
}

// theirs has redis-benchmark send the commands that a store has sent, with other operations.
func (r *redisBench) theirs(ctx context.Context) (float64, error) {
	claim, finish, settled, err := r.commands(ctx)
	if err != nil {
		return 0, err
	}
	n := int(r.rate * r.turn.Seconds())
	claims, err := r.run(ctx, n, 1_000_000_000, claim, "")
	if err != nil {
		return 0, err
	}
	// Most finishes find a claim, the others that it is finished already, which takes less.
	settles, err := r.run(ctx, n/4, settled, finish[:len(finish)-1], finish[len(finish)-1])
	if err != nil {
		return 0, err
	}
	return 1 / (1/claims + 1/settles), nil
}

// run runs redis-benchmark with the command, whose last argument is given apart if it does not fit on a command line, and
// returns how many the server answered a second.
func (r *redisBench) run(ctx context.Context, n, random int, command []string, last string) (float64, error) {
	args := []string{
		"-p", strconv.Itoa(r.server.Port), "-c", strconv.Itoa(redisClients), "-n", strconv.Itoa(n), "-r", strconv.Itoa(random), "--csv",
	}
	if last != "" {
		args = append(args, "-x")
	}
	cmd := exec.CommandContext(ctx, r.program, append(args, command...)...)
	cmd.Stdin = strings.NewReader(last)
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", filepath.Base(r.program), err)
	}
	columns := strings.Split(strings.TrimSpace(string(out)), `","`) // the last seven are numbers, the first of them the rate
	if len(columns) < 7 {
		return 0, fmt.Errorf("%s printed %q", filepath.Base(r.program), out)
	}
	return strconv.ParseFloat(columns[len(columns)-7], 64)
}

// commands returns what a store sends to claim and to finish an operation, with a place for a random number in the operation's
// name, and how many operations are claimed and wait to be finished.
func (r *redisBench) commands(ctx context.Context) (claim, finish []string, claimed int, err error) {
	for range 100 { // until no byte is zero of those that redis-benchmark gets as arguments: three in four have none
		s, err := r.open(ctx)
		if err != nil {
			return nil, nil, 0, err
		}
		sent, err := r.spy(ctx, func() error { return executeOnce(ctx, s) })
		if err == nil && len(sent) != 2 {
			err = fmt.Errorf("the store sent %d commands, not 2", len(sent))
		}
		claimed = int(r.rate * r.turn.Seconds())
		if err == nil && !strings.Contains(strings.Join(slices.Concat(sent[0], sent[1][:len(sent[1])-1]), ""), "\x00") {
			err = r.prepare(ctx, s, sent[0], claimed)
			_ = s.Close()
			return place(sent[0]), place(sent[1]), claimed, err
		}
		_ = s.Close()
		if err != nil {
			return nil, nil, 0, err
		}
	}
	return nil, nil, 0, errors.New("what the store sends has a zero byte each time, which redis-benchmark does not take")
}

// executeOnce is execute with a fingerprint.
func executeOnce(ctx context.Context, s refrain.Store) error {
	c := newClaim()
	_, _ = rand.Read(c.Fingerprint[:]) // never fails since Go 1.24
	if _, err := s.Claim(ctx, c); err != nil {
		return err
	}
	_, err := s.Settle(ctx, finish(&c))
	return err
}

// place puts the place for a random number at the end of the operation's name: the number's digits are of the name's alphabet.
func place(command []string) []string {
	command = slices.Clone(command)
	for i := 4; i <= 5; i++ {
		name, suffix := strings.CutSuffix(command[i], ":o")
		command[i] = name[:len(name)-12] + "__rand_int__"
		if suffix {
			command[i] += ":o"
		}
	}
	return command
}

// prepare claims as many operations as the spied command did one, for the finishes to find.
func (r *redisBench) prepare(ctx context.Context, s *redisstore.Store, command []string, n int) error {
	c := refrain.Claim{Lease: time.Minute}
	copy(c.Token[:], command[8])
	stem := command[4][len(command[4])-64 : len(command[4])-12]
	var next atomic.Int64
	errs := make([]error, redisClients)
	var all sync.WaitGroup
	for worker := range redisClients {
		all.Go(func() {
			for c := c; errs[worker] == nil; {
				i := next.Add(1) - 1
				if i >= int64(n) {
					return
				}
				id, err := hex.DecodeString(fmt.Sprintf("%s%012d", stem, i))
				if copy(c.ID[:], id); err == nil {
					_, err = s.Claim(ctx, c)
				}
				errs[worker] = err
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// spy returns the commands that the server gets from others while f runs, as MONITOR prints them.
func (r *redisBench) spy(ctx context.Context, f func() error) (commands [][]string, err error) {
	if err := f(); err != nil { // so that the server knows the scripts
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", servers.Address(r.server.Port))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	lines := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, "MONITOR\r\n"); err != nil {
		return nil, err
	}
	if _, err := lines.ReadString('\n'); err != nil {
		return nil, err
	}
	if err := f(); err != nil {
		return nil, err
	}
	const end = "that is all"
	if _, err := r.server.Call(ctx, "PING", end); err != nil {
		return nil, err
	}
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil, err
		}
		from, rest, _ := strings.Cut(strings.TrimSpace(line), "] ")
		command, err := words(rest)
		switch {
		case err != nil:
			return nil, fmt.Errorf("reading what MONITOR prints: %w", err)
		case slices.Contains(command, end):
			return commands, nil
		case command[0] == "EVALSHA" && !strings.HasSuffix(from, "lua"):
			commands = append(commands, command)
		}
	}
}

// words reads quoted words with spaces between them.
func words(s string) (all []string, err error) {
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return nil, err
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		all, s = append(all, word), s[len(quoted):]
	}
	return all, nil
}
