package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/internal/machine"
)

// An inspector collects remarks.
type inspector struct{ remarks []refrain.Remark }

func (in *inspector) say(grade refrain.Grade, subject, format string, args ...any) {
	in.remarks = append(in.remarks, refrain.Remark{Grade: grade, Subject: subject, Text: fmt.Sprintf(format, args...)})
}

// Audit implements refrain.Auditor.
func (s *Store) Audit(ctx context.Context) ([]refrain.Remark, error) {
	if err := s.ready(ctx); err != nil {
		return nil, fmt.Errorf("auditing the store: %w", err)
	}
	in := &inspector{}
	in.tier()
	own, err := settingsOf(ctx, s.read)
	if err != nil {
		return nil, fmt.Errorf("auditing the store: %w", s.unread(err))
	}
	in.settings(own)
	in.place(s.path)
	if s.application != nil {
		theirs, err := settingsOf(ctx, s.application)
		if err != nil {
			return nil, fmt.Errorf("auditing the application's connections: %w", unavailable(err))
		}
		in.application(theirs)
	}
	return in.remarks, nil
}

// settings are those of a connection.
type settings struct {
	journal             string
	synchronous         int
	timeout, checkpoint int
}

func settingsOf(ctx context.Context, db *sql.DB) (v settings, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return v, err
	}
	defer conn.Close()
	for _, p := range []struct {
		name string
		into any
	}{
		{"journal_mode", &v.journal},
		{"synchronous", &v.synchronous},
		{"busy_timeout", &v.timeout},
		{"wal_autocheckpoint", &v.checkpoint},
	} {
		err := patiently(ctx, func() error { return conn.QueryRowContext(ctx, "PRAGMA "+p.name).Scan(p.into) })
		if err != nil {
			return v, err
		}
	}
	return v, nil
}

func (in *inspector) settings(v settings) {
	if v.journal != "wal" {
		in.say(refrain.GradeFault, "journal mode", "%s; somebody has changed it: PRAGMA journal_mode = WAL", v.journal)
	} else {
		in.say(refrain.GradeOK, "journal mode", "wal")
	}
	if v.synchronous < synchronousFull {
		in.say(refrain.GradeFault, "synchronous", "%d: commits may be lost with the power", v.synchronous)
	} else {
		in.say(refrain.GradeOK, "synchronous", "%d: every commit is synced", v.synchronous)
	}
	in.say(refrain.GradeOK, "busy", "the store waits for the lock as long as its callers do")
}

func (in *inspector) tier() {
	in.say(refrain.GradeOK, "tier", "%s: survives power loss; one machine", refrain.TierStrict)
}

// place looks at where the file is.
func (in *inspector) place(path string) {
	in.file(path)
	in.log(path + "-wal")
	in.fileSystem(path)
}

func (in *inspector) file(path string) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		in.say(refrain.GradeFault, "file", "%v", err)
	case info.Mode().Perm()&0o077 != 0:
		in.say(refrain.GradeWarn, "file", "%s holds recorded answers and others can use it (mode %#o); "+
			"chmod 600 it, and its -wal and -shm", path, info.Mode().Perm())
	default:
		in.say(refrain.GradeOK, "file", "%s, for its owner only", path)
	}
}

// largeLog is where a write-ahead log is larger than checkpoints leave it.
const largeLog = 64 << 20

func (in *inspector) log(path string) {
	if info, err := os.Stat(path); err == nil && info.Size() > largeLog {
		in.say(refrain.GradeWarn, "log", "%s has %d MiB: a transaction that reads for long keeps it from being written back",
			path, info.Size()>>20)
	}
}

// application looks at the connections whose transactions settle operations.
func (in *inspector) application(v settings) {
	switch {
	case v.synchronous < synchronousFull:
		in.say(refrain.GradeFault, "application", "its connections have synchronous=%d, so that FinishTx refuses their transactions: "+
			"open the database with _pragma=synchronous(FULL)", v.synchronous)
	case v.timeout == 0:
		in.say(refrain.GradeWarn, "application", "its connections do not wait for the lock: "+
			"open the database with _pragma=busy_timeout(5000)")
	default:
		in.say(refrain.GradeOK, "application", "its connections have synchronous=%d and wait %d ms for the lock",
			v.synchronous, v.timeout)
	}
}

func (in *inspector) fileSystem(path string) {
	const subject = "file system"
	switch f, err := machine.FileSystemOf(path); {
	case err != nil:
		in.say(refrain.GradeWarn, subject, "cannot be told, and it must be a local disk: %v", err)
	case f.Remote:
		in.say(refrain.GradeFault, subject, "%s: SQLite's log needs memory that all processes share: use a local disk", f.Name)
	case f.Trouble != "":
		in.say(refrain.GradeWarn, subject, "%s: %s", f.Name, f.Trouble)
	default:
		in.say(refrain.GradeOK, subject, "%s", f.Name)
	}
}
