package mysqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/refrain-dev/refrain"
)

// settings are what the store's promise rests on, and what the server said when it was asked last.
type settings struct {
	version     string
	flush       string // innodb_flush_log_at_trx_commit
	doublewrite string
	logBin      string
	syncBinlog  string
	readOnly    string
	wsrep       string
	packet      int // max_allowed_packet
	replicas    int
	blind       bool // this user is not told how many there are
	semi        semiSync
}

// semiSync is how a primary waits for its replicas.
type semiSync struct {
	enabled, status string
	clients         int
	point           string
	timeout         time.Duration
}

// readSettings asks the server. What one kind of server does not know stays empty.
func readSettings(ctx context.Context, db *sql.DB) (*settings, error) {
	v := make(map[string]string)
	for _, query := range []string{
		`SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'innodb_flush_log_at_trx_commit', 'innodb_doublewrite', 'log_bin',
	'sync_binlog', 'read_only', 'super_read_only', 'wsrep_on', 'max_allowed_packet') OR Variable_name LIKE 'rpl_semi_sync_%'`,
		"SHOW GLOBAL STATUS WHERE Variable_name = 'Slaves_connected' OR Variable_name LIKE 'Rpl_semi_sync_%'",
	} {
		if err := readVariables(ctx, db, query, v); err != nil {
			return nil, err
		}
	}
	first := func(suffix string) string {
		return cmp.Or(v["rpl_semi_sync_master_"+suffix], v["rpl_semi_sync_source_"+suffix])
	}
	s := &settings{
		version: v["version"], flush: v["innodb_flush_log_at_trx_commit"], doublewrite: v["innodb_doublewrite"],
		logBin: v["log_bin"], syncBinlog: v["sync_binlog"], readOnly: v["read_only"], wsrep: v["wsrep_on"],
		semi: semiSync{enabled: first("enabled"), status: first("status"), point: first("wait_point")},
	}
	s.packet, _ = strconv.Atoi(v["max_allowed_packet"])
	s.semi.clients, _ = strconv.Atoi(first("clients"))
	if ms, err := strconv.ParseUint(first("timeout"), 10, 64); err == nil {
		s.semi.timeout = time.Duration(min(ms, 1<<40)) * time.Millisecond
	}
	var err error
	s.replicas, s.blind, err = replicas(ctx, db, v["slaves_connected"])
	s.replicas = max(s.replicas, s.semi.clients)
	return s, err
}

// replicas returns how many replicas follow. MariaDB tells everybody; of connections one sees only one's own without a right.
func replicas(ctx context.Context, db *sql.DB, connected string) (n int, blind bool, err error) {
	var sees bool
	const dumps = `SELECT COUNT(*), (SELECT COUNT(*) > 0 FROM information_schema.user_privileges WHERE privilege_type = 'PROCESS')
FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'`
	if err := db.QueryRowContext(ctx, dumps).Scan(&n, &sees); err != nil {
		return 0, false, err
	}
	told, unknown := strconv.Atoi(connected)
	return max(n, told), unknown != nil && !sees, nil
}

func readVariables(ctx context.Context, db *sql.DB, query string, into map[string]string) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		into[strings.ToLower(name)] = value
	}
	return rows.Err()
}

// refuse says why the store must not be used as it is, or returns nil.
func (s *settings) refuse(cfg *Config) error {
	if s.galera() && !cfg.AllowGalera {
		return errors.New("this is a Galera cluster, which loses updates: Config.AllowGalera uses it all the same")
	}
	if on(s.readOnly) { // which does not keep every user from writing
		return fmt.Errorf("%w: the server is read-only: is it a replica?", refrain.ErrUnavailable)
	}
	return nil
}

func on(value string) bool { return value != "" && value != "OFF" && value != "0" }

func (s *settings) galera() bool { return on(s.wsrep) }

// logged reports whether a commit goes through the binary log, and is shown to others only when it is on the disk.
func (s *settings) logged() bool { return on(s.logBin) && s.syncBinlog == "1" }

// survivesPower reports whether a commit that was acknowledged survives a power cut.
func (s *settings) survivesPower() bool {
	return s.flushes() && on(s.doublewrite) && (!on(s.logBin) || s.syncBinlog == "1")
}

func (s *settings) flushes() bool { return s.flush == "1" || s.flush == "3" }

// patience is how long a primary must wait for a replica, at least, to be relied on: nobody waits that long for an answer.
const patience = time.Hour

// replicated reports whether a commit is on a replica before it is acknowledged or shown.
func (s *settings) replicated() bool {
	return on(s.semi.enabled) && on(s.semi.status) && s.semi.clients > 0 && s.semi.point == "AFTER_SYNC" &&
		s.semi.timeout >= patience
}

func (s *settings) tier() refrain.Tier {
	switch {
	case s.galera(), s.flush == "0", (s.replicas > 0 || s.blind && on(s.logBin)) && !s.replicated():
		return refrain.TierBestEffort
	case !s.survivesPower():
		return refrain.TierProcess
	}
	return refrain.TierStrict
}
