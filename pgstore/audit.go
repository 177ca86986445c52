package pgstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/refrain-dev/refrain"
)

// settings are what the promise rests on, as a transaction of the store sees them.
type settings struct {
	Version   string
	Recovery  bool
	Fsync     string
	FullPages string
	Commit    string // synchronous_commit
	Standbys  string // synchronous_standby_names
	Streaming int    // replicas that stream
	Sync      int    // of them those that commits wait for
	Hidden    int    // of them those of which this user is not told more
	Isolation string
	Messages  string // client_min_messages
}

const settingsQuery = `SELECT current_setting('server_version'), pg_is_in_recovery(), current_setting('fsync'),
	current_setting('full_page_writes'), current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
	(SELECT count(*) FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup'),
	(SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')),
	(SELECT count(*) FROM pg_stat_replication WHERE sync_state IS NULL),
	current_setting('default_transaction_isolation'), current_setting('client_min_messages')`

// Audit implements refrain.Auditor. It also renews what Tier returns.
func (s *Store) Audit(ctx context.Context) ([]refrain.Remark, error) {
	rows, err := s.pool.Query(ctx, settingsQuery)
	var now settings
	if err == nil {
		now, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[settings])
	}
	var lost []loss
	if err == nil {
		lost, err = s.losses(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("auditing: %w", s.fault(err))
	}
	s.settings.Store(&now)
	all := append([]refrain.Remark{
		{Grade: refrain.GradeOK, Subject: "postgres", Text: fmt.Sprintf("version %s, tier %s", now.Version, now.tier())},
	}, now.remarks()...)
	for _, l := range lost {
		all = append(all, l.remark(s.cfg.Schema))
	}
	return all, nil
}

// waits reports whether a commit waits for a standby that a failover would choose.
func (c *settings) waits() bool {
	return c.Standbys != "" && slices.Contains([]string{"on", "remote_write", "remote_apply"}, c.Commit)
}

func (c *settings) tier() refrain.Tier {
	switch {
	case c.Commit == "off":
		return refrain.TierBestEffort
	case c.Streaming > 0 && !c.waits():
		return refrain.TierBestEffort
	case c.Fsync != "on" || c.FullPages != "on":
		return refrain.TierProcess
	case c.waits() && c.Commit == "remote_write":
		return refrain.TierProcess
	}
	return refrain.TierStrict
}

func (c *settings) remarks() (all []refrain.Remark) {
	say := func(ok bool, bad refrain.Grade, subject, is, do string) {
		r := refrain.Remark{Grade: refrain.GradeOK, Subject: subject, Text: is}
		if !ok {
			r.Grade, r.Text = bad, is+": "+do
		}
		all = append(all, r)
	}
	say(!c.Recovery, refrain.GradeFault, "role", map[bool]string{false: "primary", true: "standby"}[c.Recovery],
		"claims need the primary")
	say(c.Fsync == "on", refrain.GradeFault, "fsync", "fsync = "+c.Fsync, "a power cut may take the whole database; set it on")
	say(c.FullPages == "on", refrain.GradeFault, "full pages", "full_page_writes = "+c.FullPages,
		"a power cut may leave torn pages; set it on")
	say(c.Commit != "off", refrain.GradeFault, "commit", "synchronous_commit = "+c.Commit,
		"a crash of the server takes the last claims; set it on")
	switch {
	case c.Standbys == "" && c.Streaming == 0:
		say(true, "", "standbys", "none: what survives is what this server's disk survives", "")
	case !c.waits():
		say(false, refrain.GradeWarn, "standbys", fmt.Sprintf("%d stream and no commit waits for them", c.Streaming),
			"a failover may lose the last claims; set synchronous_standby_names, with synchronous_commit = on")
	case c.Sync == 0 && c.Hidden > 0:
		say(false, refrain.GradeWarn, "standbys", fmt.Sprintf("synchronous_standby_names = %s, %d stream", c.Standbys, c.Hidden),
			"whether in sync is told to members of pg_monitor only")
	default:
		say(c.Sync > 0, refrain.GradeWarn, "standbys",
			fmt.Sprintf("synchronous_standby_names = %s, %d in sync", c.Standbys, c.Sync), "commits wait until one is back")
	}
	say(c.Isolation == "read committed", refrain.GradeFault, "isolation", "default_transaction_isolation = "+c.Isolation,
		"the store needs read committed, e.g. ALTER ROLE … SET default_transaction_isolation")
	say(c.Messages != "error", refrain.GradeFault, "messages", "client_min_messages = "+c.Messages,
		"the store needs the server's warnings, e.g. ALTER ROLE … SET client_min_messages = warning")
	return all
}
