package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/refrain-dev/refrain"
)

// A node is a server that holds records, and what it says of itself.
type node struct {
	address string
	info    map[string]string // what INFO says
	fsync   string            // what CONFIG says of appendfsync; empty if it may not be asked
	saves   bool              // it makes snapshots, as far as CONFIG tells
}

// inspect asks the servers that hold records.
func (s *Store) inspect(ctx context.Context) ([]node, error) {
	clients := map[string]rueidis.Client{s.target.addresses[0]: s.client}
	if s.target.kind == cluster {
		clients = s.client.Nodes()
	}
	var nodes []node
	var errs []error
	for address, c := range clients {
		n, err := inspect(ctx, address, c)
		if err != nil {
			errs = append(errs, s.describe(fmt.Errorf("asking %s: %w", address, err)))
			continue
		}
		if s.target.kind != cluster || n.info["role"] == "master" {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b node) int { return cmp.Compare(a.address, b.address) })
	if len(nodes) == 0 {
		return nil, errors.Join(append(errs, refrain.ErrUnavailable)...)
	}
	return nodes, nil // a node of a cluster that is away is the scripts' to report
}

func inspect(ctx context.Context, address string, c rueidis.Client) (node, error) {
	n := node{address: address, info: make(map[string]string)}
	text, err := c.Do(ctx, c.B().Info().Build()).ToString()
	if err != nil {
		return n, err
	}
	for line := range strings.SplitSeq(text, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			n.info[name] = value
		}
	}
	n.saves = true
	for _, r := range c.DoMulti(ctx,
		c.B().ConfigGet().Parameter("appendfsync").Build(), c.B().ConfigGet().Parameter("save").Build()) {
		v, err := r.AsStrMap()
		if err != nil {
			continue // servers that somebody else runs do not tell
		}
		if fsync, ok := v["appendfsync"]; ok {
			n.fsync = fsync
		}
		if save, ok := v["save"]; ok {
			n.saves = save != ""
		}
	}
	return n, nil
}

func (n *node) number(name string) int64 {
	v, _ := strconv.ParseInt(n.info[name], 10, 64)
	return v
}

// version returns the server's name and version.
func (n *node) version() string {
	if v := n.info["valkey_version"]; v != "" {
		return "Valkey " + v
	}
	return "Redis " + n.info["redis_version"]
}

// older reports a server that is older than a version of Redis. Valkey says which one it is as good as.
func (n *node) older(than [2]int) bool {
	var is [2]int
	_, err := fmt.Sscanf(n.info["redis_version"], "%d.%d", &is[0], &is[1])
	return err == nil && slices.Compare(is[:], than[:]) < 0
}

// The versions that know what the store uses.
var (
	knowsPXAT    = [2]int{6, 2}
	knowsWAITAOF = [2]int{7, 2}
)

// persists reports whether a server that is killed and started again knows what it has acknowledged before.
func (n *node) persists() bool { return n.info["aof_enabled"] == "1" && n.fsync != "no" }

// forgets reports whether a server keeps nothing on disk and has no replica.
func (n *node) forgets() bool {
	return n.info["aof_enabled"] == "0" && n.number("connected_slaves") == 0 && !n.saves
}

// judge says why the store must not use these servers, and notes what it can promise with them.
func (s *Store) judge(nodes []node) error {
	tier := refrain.TierProcess
	for i := range nodes {
		n := &nodes[i]
		switch why := n.wrong(s.target.kind); {
		case why == isReplica: // a failover may make it the master
			return fmt.Errorf("%w: %s: %s", refrain.ErrUnavailable, n.address, why)
		case why != "":
			return fmt.Errorf("%w: %s: %s", ErrUnfit, n.address, why)
		case s.cfg.WaitFsync && n.older(knowsWAITAOF):
			return fmt.Errorf("%w: %s: %s is too old for wait_fsync: Redis 7.2 is the oldest that knows WAITAOF",
				ErrUnfit, n.address, n.version())
		}
		if !n.persists() || s.target.kind != single || n.number("connected_slaves") > 0 {
			tier = refrain.TierBestEffort
		}
		if n.forgets() {
			tier = refrain.TierVolatile
			break
		}
	}
	s.tier.Store(&tier)
	return nil
}

// ErrUnfit is a refrain.ErrUnavailable: the server answers, and must not be used as it is, for it is too old, would lose records
// by its settings, or is of another kind than the URL says.
var ErrUnfit = fmt.Errorf("%w: the server is not fit", refrain.ErrUnavailable)

const isReplica = "it is a replica: only the master may decide"

// wrong says why a server cannot keep records, or nothing.
func (n *node) wrong(k kind) string {
	mode := cmp.Or(n.info["redis_mode"], n.info["server_mode"]) // Valkey has the second
	switch policy := n.info["maxmemory_policy"]; {
	case mode == "sentinel":
		return "it is a Sentinel, whose URL begins with redis+sentinel://"
	case n.older(knowsPXAT):
		return n.version() + " is too old: 6.2 is the oldest that works"
	case policy != "" && policy != "noeviction":
		return "maxmemory-policy is " + policy + ", by which it forgets records when it is full: set it to noeviction"
	case n.info["role"] != "master":
		return isReplica
	case k == single && mode == "cluster":
		return "it is a node of a cluster, whose URL begins with redis+cluster://"
	}
	return ""
}
