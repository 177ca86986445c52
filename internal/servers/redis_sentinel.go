package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// SentinelMaster is the name that the sentinels have for their master.
const SentinelMaster = "mymaster"

// A RedisSentinel is a master with two replicas, and three sentinels that watch them.
type RedisSentinel struct {
	Servers   []*Redis // the first is the master until there is a failover
	Sentinels []*Redis
}

// StartRedisSentinel starts a master, two replicas and three sentinels, which take a master that does not answer for half a
// second for dead. The settings are those of the three servers.
func StartRedisSentinel(ctx context.Context, dir string, settings ...string) (*RedisSentinel, error) {
	return StartRedisSentinelOn(ctx, dir, [3]*Host{Here(), Here(), Here()}, settings...)
}

// StartRedisSentinelOn is [StartRedisSentinel] on three hosts: a server and a sentinel on each.
func StartRedisSentinelOn(ctx context.Context, dir string, hosts [3]*Host, settings ...string) (*RedisSentinel, error) {
	s := &RedisSentinel{}
	if err := s.start(ctx, dir, hosts, settings); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *RedisSentinel) start(ctx context.Context, dir string, hosts [3]*Host, settings []string) error {
	for _, h := range hosts {
		own := append([]string{"repl-diskless-sync-delay", "0"}, settings...)
		if len(s.Servers) > 0 {
			own = append(own, "replicaof", hosts[0].Address+" "+strconv.Itoa(s.Servers[0].Port))
		}
		r, err := h.StartRedis(ctx, dir, own...)
		if err != nil {
			return err
		}
		s.Servers = append(s.Servers, r)
	}
	for _, h := range hosts {
		r, err := h.startSentinel(ctx, dir, s.Servers[0])
		if err != nil {
			return err
		}
		s.Sentinels = append(s.Sentinels, r)
	}
	return eventually(ctx, "the sentinels to know each other and the replicas", s.Ready)
}

func (h *Host) startSentinel(ctx context.Context, dir string, master *Redis) (*Redis, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	name := "sentinel-" + strconv.Itoa(port)
	file := filepath.Join(dir, name+".conf")
	text := fmt.Sprintf("port %d\nbind %s\ndir %s\n"+
		"sentinel monitor %s %s %d 2\nsentinel down-after-milliseconds %[4]s 500\nsentinel failover-timeout %[4]s 3000\n",
		port, h.Address, dir, SentinelMaster, master.On.Address, master.Port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	path, err := Find(ctx, "redis-sentinel", "redis-sentinel")
	if err != nil {
		return nil, err
	}
	r := &Redis{On: h, Port: port}
	r.Process, err = Start(ctx, Command{Name: name, Path: path, Args: []string{file}, Dir: dir, Host: h, Ready: r.ping})
	return r, err
}

// Ready reports, by nil, that every sentinel knows two replicas and two other sentinels, and that two replicas are in step with
// the master.
func (s *RedisSentinel) Ready(ctx context.Context) error {
	for _, r := range s.Sentinels {
		known, err := r.Call(ctx, "SENTINEL", "MASTER", SentinelMaster)
		if err != nil {
			return err
		}
		fields := strings.Fields(known)
		for i := 0; i+1 < len(fields); i += 2 {
			name, value := fields[i], fields[i+1]
			if (name == "num-slaves" || name == "num-other-sentinels") && value != "2" {
				return fmt.Errorf("%s knows %s %s, not 2", r.Name, value, name)
			}
		}
	}
	master, err := s.Master(ctx)
	if err != nil {
		return err
	}
	state, err := master.Call(ctx, "INFO", "replication")
	if err == nil && strings.Count(state, "state=online") != 2 {
		err = errors.New("the replicas are not in step yet")
	}
	return err
}

// URL returns what Refrain calls the master that the sentinels agree on.
func (s *RedisSentinel) URL() string {
	addresses := make([]string, 0, len(s.Sentinels))
	for _, r := range s.Sentinels {
		addresses = append(addresses, r.address())
	}
	return "redis+sentinel://" + strings.Join(addresses, ",") + "/" + SentinelMaster
}

// Master returns the server that most sentinels take for the master now.
func (s *RedisSentinel) Master(ctx context.Context) (*Redis, error) {
	votes := map[string]int{}
	for _, r := range s.Sentinels {
		address, err := r.Call(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelMaster)
		if err != nil {
			return nil, err
		}
		votes[strings.Join(strings.Fields(address), ":")]++
	}
	for _, r := range s.Servers {
		if votes[r.address()] > len(s.Sentinels)/2 {
			return r, nil
		}
	}
	return nil, fmt.Errorf("the sentinels do not agree on a master of theirs: %v", votes)
}

// Stop ends all of them.
func (s *RedisSentinel) Stop() error { return errors.Join(stopAll(s.Sentinels), stopAll(s.Servers)) }
