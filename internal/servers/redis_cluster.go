package servers

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A RedisCluster is a Redis Cluster of three masters with a replica each.
type RedisCluster struct {
	Servers []*Redis
}

// StartRedisCluster starts six servers and makes a cluster of them, which takes a node that does not answer for a second for
// dead.
func StartRedisCluster(ctx context.Context, dir string, settings ...string) (*RedisCluster, error) {
	c := &RedisCluster{}
	if err := c.start(ctx, dir, settings); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *RedisCluster) start(ctx context.Context, dir string, settings []string) error {
	create := []string{"--cluster", "create"}
	for range 6 {
		port, err := FreePort()
		if err != nil {
			return err
		}
		name := "redis-" + strconv.Itoa(port)
		own := append([]string{
			"cluster-enabled", "yes", "cluster-config-file", name + ".nodes", "cluster-node-timeout", "1000",
			"repl-diskless-sync-delay", "0",
		}, settings...)
		r, err := Here().startRedis(ctx, name, dir, port, own...)
		if err != nil {
			return err
		}
		c.Servers = append(c.Servers, r)
		create = append(create, Address(port))
	}
	create = append(create, "--cluster-replicas", "1", "--cluster-yes")
	if _, err := c.Servers[0].Call(ctx, create...); err != nil {
		return err
	}
	return eventually(ctx, "the cluster to be whole", c.Whole)
}

// Whole reports, by nil, that every node that runs thinks that the cluster is well, and that as many replicas are in step as
// there are running nodes that are not masters.
func (c *RedisCluster) Whole(ctx context.Context) error {
	for _, r := range c.Servers {
		select {
		case <-r.Done():
			continue
		default:
		}
		info, err := r.Call(ctx, "CLUSTER", "INFO")
		if err != nil {
			return err
		}
		if !strings.Contains(info, "cluster_state:ok") {
			return fmt.Errorf("%s does not think that the cluster is well", r.Name)
		}
		state, err := r.Call(ctx, "INFO", "replication")
		if err != nil {
			return err
		}
		if strings.Contains(state, "role:slave") && !strings.Contains(state, "master_link_status:up") {
			return fmt.Errorf("%s is not in step with its master", r.Name)
		}
	}
	return nil
}

// Masters returns the running servers that are masters now.
func (c *RedisCluster) Masters(ctx context.Context) (masters []*Redis, err error) {
	for _, r := range c.Servers {
		select {
		case <-r.Done():
			continue
		default:
		}
		role, err := r.Call(ctx, "ROLE")
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(role, "master") {
			masters = append(masters, r)
		}
	}
	return masters, nil
}

// Move moves some of the slots of one master to another, with the keys in them.
func (c *RedisCluster) Move(ctx context.Context, from, to *Redis, slots int) error {
	ids := make([]string, 0, 2)
	for _, r := range []*Redis{from, to} {
		id, err := r.Call(ctx, "CLUSTER", "MYID")
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	_, err := from.Call(ctx, "--cluster", "reshard", Address(from.Port), "--cluster-from", ids[0], "--cluster-to", ids[1],
		"--cluster-slots", strconv.Itoa(slots), "--cluster-yes")
	return err
}

// URL returns what Refrain calls the cluster.
func (c *RedisCluster) URL() string {
	addresses := make([]string, 0, len(c.Servers))
	for _, r := range c.Servers {
		addresses = append(addresses, Address(r.Port))
	}
	return "redis+cluster://" + strings.Join(addresses, ",")
}

// Stop ends all nodes.
func (c *RedisCluster) Stop() error { return stopAll(c.Servers) }
