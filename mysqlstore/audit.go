package mysqlstore

import (
	"context"
	"fmt"

	"github.com/refrain-dev/refrain"
)

// Audit implements refrain.Auditor. The store's tier is from then on what follows from what it saw.
func (s *Store) Audit(ctx context.Context) ([]refrain.Remark, error) {
	set, err := s.audit(ctx)
	if err != nil {
		return nil, fmt.Errorf("auditing: %w", err)
	}
	return set.remarks(&s.cfg), nil
}

func (s *Store) audit(ctx context.Context) (*settings, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	ctx, cancel := s.bound(ctx)
	defer cancel()
	set, err := readSettings(ctx, s.db)
	if err != nil {
		return nil, unavailable(err)
	}
	if was := s.settings.Swap(set); was.tier() != set.tier() {
		s.log.Warn("the store's promise has changed with the server's settings", "from", was.tier(), "to", set.tier())
	}
	return set, nil
}

// remarks says what follows from the settings.
func (s *settings) remarks(cfg *Config) []refrain.Remark {
	list := []refrain.Remark{{Grade: refrain.GradeOK, Subject: "tier", Text: fmt.Sprintf("%s, on %s", s.tier(), s.version)}}
	add := func(grade refrain.Grade, subject, format string, args ...any) {
		list = append(list, refrain.Remark{Grade: grade, Subject: subject, Text: fmt.Sprintf(format, args...)})
	}
	if on(s.readOnly) {
		add(refrain.GradeFault, "read_only", "the server takes no writes: is it a replica?")
	}
	if s.galera() {
		grade := refrain.GradeFault
		if cfg.AllowGalera {
			grade = refrain.GradeWarn
		}
		add(grade, "wsrep_on", "a Galera cluster loses updates and reads what is stale: use semi-synchronous replication")
	}
	if s.flushes() {
		add(refrain.GradeOK, "innodb_flush_log_at_trx_commit", "%s: a commit is on the disk", s.flush)
	} else {
		add(refrain.GradeWarn, "innodb_flush_log_at_trx_commit", "%s: a power cut loses commits; set it to 1", s.flush)
	}
	if !on(s.doublewrite) {
		add(refrain.GradeWarn, "innodb_doublewrite", "%s: a power cut can tear pages; set it to ON", s.doublewrite)
	}
	s.remarkBinlog(add)
	s.remarkReplicas(add)
	if s.packet < 4<<20 {
		add(refrain.GradeWarn, "max_allowed_packet", "%d: outcomes of more than half of it lose their body; set it to 16M", s.packet)
	}
	return list
}

func (s *settings) remarkBinlog(add func(refrain.Grade, string, string, ...any)) {
	switch {
	case !on(s.logBin):
		add(refrain.GradeOK, "log_bin", "OFF: nothing is replicated, and what was just finished is read with a flush")
	case s.syncBinlog != "1":
		add(refrain.GradeWarn, "sync_binlog", "%s: a power cut loses commits; set it to 1", s.syncBinlog)
	default:
		add(refrain.GradeOK, "sync_binlog", "1: a commit is on the disk before anybody sees it")
	}
}

func (s *settings) remarkReplicas(add func(refrain.Grade, string, string, ...any)) {
	switch {
	case s.blind && on(s.logBin) && s.replicas == 0 && !on(s.semi.enabled):
		add(refrain.GradeWarn, "replicas", "this user is not told whether there are any: GRANT PROCESS ON *.* to it")
	case s.replicas == 0 && !on(s.semi.enabled):
		add(refrain.GradeOK, "replicas", "none: what this server's disk loses is lost")
	case s.replicated():
		add(refrain.GradeOK, "rpl_semi_sync", "a commit is on a replica before anybody sees it")
	case !on(s.semi.enabled):
		add(refrain.GradeWarn, "rpl_semi_sync", "%d replicas follow asynchronously: a failover loses commits", s.replicas)
	case s.semi.clients == 0 || !on(s.semi.status):
		add(refrain.GradeWarn, "rpl_semi_sync", "no replica confirms: a failover loses commits")
	case s.semi.point != "AFTER_SYNC":
		add(refrain.GradeWarn, "rpl_semi_sync_master_wait_point",
			"%s: others see a commit that no replica has; set it to AFTER_SYNC", s.semi.point)
	default:
		add(refrain.GradeWarn, "rpl_semi_sync_master_timeout",
			"%s: it gives up waiting for the replica then; set it to its maximum", s.semi.timeout)
	}
}
