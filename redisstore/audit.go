package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/refrain-dev/refrain"
)

// watch looks again and again at what the store's promise rests on, until ctx ends.
func (s *Store) watch(ctx context.Context) {
	for {
		every := s.cfg.AuditEvery
		if s.fault.Load() != nil {
			every = min(every, time.Second) // an operator is at work
		}
		t := time.NewTimer(every)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-s.poke:
			t.Stop()
		case <-t.C:
		}
		s.look(ctx)
	}
}

// look refuses to go on if the servers would lose records, or have. When it cannot tell, it leaves things as they are.
func (s *Store) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	nodes, err := s.inspect(ctx)
	if err != nil {
		return
	}
	if err := s.judge(nodes); err != nil {
		s.blame(&fault{err: err, all: true})
		return
	}
	s.compare(nodes)
	lost := (*LostError)(nil)
	if err = s.check(ctx); errors.As(err, &lost) {
		err = s.mend(ctx, lost)
	}
	switch {
	case errors.As(err, &lost):
		s.blame(&fault{err: lost})
	case err == nil:
		s.blame(nil)
	}
}

// compare says so when a server is another process than when it was last looked at: what it had not got is lost.
func (s *Store) compare(nodes []node) {
	now := make(map[string]bool)
	for i := range nodes {
		id := nodes[i].info["run_id"]
		if now[id] = true; s.servers != nil && !s.servers[id] {
			s.changes.Add(1)
			s.log.Warn("a Redis server has restarted, or another has taken over: what it had not got of the last claims may run again",
				"store", s.target, "server", nodes[i].address)
		}
	}
	s.servers = now
}

// Audit implements refrain.Auditor.
func (s *Store) Audit(ctx context.Context) ([]refrain.Remark, error) {
	if s.closed.Load() {
		return nil, refrain.ErrClosed
	}
	all, err := s.audit(ctx)
	if err != nil {
		return nil, err
	}
	return append(all, identityRemark(s.Identity(), s.check(ctx))), nil
}

// Inspect is Audit for a database that no store is open on, and changes nothing in it: one that has no identity gets none.
func Inspect(ctx context.Context, url string, cfg Config) ([]refrain.Remark, error) {
	s, err := dial(ctx, url, cfg)
	if err != nil {
		return nil, err
	}
	defer s.client.Close()
	all, err := s.audit(ctx)
	if err != nil {
		return nil, err
	}
	name := "none yet: the first process that opens the store makes one"
	id, _, err := s.recognise(ctx)
	if id != nil {
		name = id.name
	}
	return append(all, identityRemark(name, err)), nil
}

// audit looks at the servers.
func (s *Store) audit(ctx context.Context) ([]refrain.Remark, error) {
	nodes, err := s.inspect(ctx)
	if err != nil {
		return nil, fmt.Errorf("auditing %s: %w", s.target, err)
	}
	var all []refrain.Remark
	for i := range nodes {
		all = append(all, s.remarks(&nodes[i])...)
	}
	if s.judge(nodes) == nil {
		all = append(all, tierRemark(s.Tier()))
	}
	if n := s.changes.Load(); n > 0 {
		all = append(all, refrain.Remark{Grade: refrain.GradeWarn, Subject: "failover", Text: fmt.Sprintf(
			"%d times since this process began a server has restarted, or another has taken over", n)})
	}
	return all, nil
}

func identityRemark(name string, err error) refrain.Remark {
	if err != nil {
		return refrain.Remark{Grade: refrain.GradeFault, Subject: "identity", Text: err.Error()}
	}
	return refrain.Remark{Grade: refrain.GradeOK, Subject: "identity", Text: name}
}

// remarks are those on one server.
func (s *Store) remarks(n *node) []refrain.Remark {
	r := remarks{address: n.address}
	r.add(refrain.GradeOK, "server", n.version())
	if why := n.wrong(s.target.kind); why != "" {
		r.add(refrain.GradeFault, "settings", why)
	}
	switch evicted, policy := n.number("evicted_keys"), n.info["maxmemory_policy"]; {
	case policy == "":
		r.add(refrain.GradeWarn, "eviction", "the server does not tell its maxmemory-policy: it has to be noeviction")
	case evicted > 0:
		r.add(refrain.GradeWarn, "eviction", fmt.Sprintf("%d keys were evicted since the server began: records may be lost", evicted))
	case policy == "noeviction":
		r.add(refrain.GradeOK, "eviction", "maxmemory-policy noeviction")
	}
	if used, limit := n.number("used_memory"), n.number("maxmemory"); limit > 0 && used > limit/10*9 {
		r.add(refrain.GradeWarn, "memory", fmt.Sprintf("%d of %d bytes are used: a full server refuses new operations", used, limit))
	}
	if n.info["rdb_last_bgsave_status"] == "err" && n.saves {
		r.add(refrain.GradeWarn, "snapshot", "the last one failed, which the server's log explains: nothing can be claimed or "+
			"recorded until one succeeds, unless stop-writes-on-bgsave-error is no")
	}
	r.durability(n)
	r.replicas(n, s.cfg.Wait)
	return r.all
}

type remarks struct {
	address string
	all     []refrain.Remark
}

func (r *remarks) add(g refrain.Grade, subject, text string) {
	r.all = append(r.all, refrain.Remark{Grade: g, Subject: subject + " of " + r.address, Text: text})
}

func (r *remarks) durability(n *node) {
	if n.info["aof_enabled"] != "1" {
		r.add(refrain.GradeWarn, "appendonly", "no: a restart forgets what came after the last snapshot, and those operations may "+
			"run again; set appendonly yes")
		return
	}
	switch n.fsync {
	case "always":
		r.add(refrain.GradeOK, "appendfsync", "always: a power cut loses nothing that was acknowledged")
	case "everysec":
		r.add(refrain.GradeOK, "appendfsync", "everysec: a crash loses nothing, a power cut the last seconds; always loses neither")
	case "no":
		r.add(refrain.GradeWarn, "appendfsync", "no: a power cut loses what the system has not yet written; set everysec or always")
	default:
		r.add(refrain.GradeWarn, "appendfsync", "the server does not tell")
	}
	if status := n.info["aof_last_write_status"]; status != "ok" && status != "" {
		r.add(refrain.GradeFault, "appendonly", "the last write to the file failed")
	}
}

func (r *remarks) replicas(n *node, wait int) {
	var connected []string
	for i := range n.number("connected_slaves") {
		connected = append(connected, n.info[fmt.Sprintf("slave%d", i)])
	}
	text := fmt.Sprintf("%d are connected, %d confirm each transition", len(connected), wait)
	grade := refrain.GradeOK
	switch {
	case len(connected) < wait:
		grade, text = refrain.GradeFault, text+": nothing can be claimed"
	case len(connected) > 0 && wait == 0:
		grade, text = refrain.GradeWarn, text+": a failover may lose the last claims; wait=1 makes that less likely"
	}
	if strings.Contains(strings.Join(connected, " "), "state=") {
		text += " (" + strings.Join(connected, "; ") + ")"
	}
	r.add(grade, "replicas", text)
}

func tierRemark(t refrain.Tier) refrain.Remark {
	r := refrain.Remark{Grade: refrain.GradeOK, Subject: "tier", Text: string(t)}
	switch t {
	case refrain.TierBestEffort:
		r.Grade, r.Text = refrain.GradeWarn, r.Text+": a failover or restart may lose claims, and those operations may run again"
	case refrain.TierVolatile:
		r.Grade, r.Text = refrain.GradeWarn, r.Text+": a restart forgets everything"
	case refrain.TierStrict, refrain.TierProcess:
	}
	return r
}
