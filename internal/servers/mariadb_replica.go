package servers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// StartMariaDBReplica starts a server that follows another and confirms every commit to it (semi-synchronous replication). The
// primary must have been started with [SemiSyncPrimary].
func StartMariaDBReplica(ctx context.Context, dir string, primary *MariaDB, settings ...string) (*MariaDB, error) {
	return Here().StartMariaDBReplica(ctx, dir, primary, settings...)
}

// StartMariaDBReplica is [StartMariaDBReplica] on another host.
func (h *Host) StartMariaDBReplica(ctx context.Context, dir string, primary *MariaDB, settings ...string) (*MariaDB, error) {
	follow := fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%d, MASTER_USER='refrain', MASTER_CONNECT_RETRY=1, "+
		"MASTER_USE_GTID=slave_pos;\nSTART SLAVE;\n", primary.On.Address, primary.Port)
	return h.startMariaDB(ctx, dir, follow, append([]string{
		"--server-id=2", "--log-bin", "--log-slave-updates", "--sync-binlog=1", "--rpl-semi-sync-slave-enabled=ON",
		semiSyncPoint, semiSyncTimeout,
	}, settings...))
}

// A commit that a crash leaves unconfirmed was seen by nobody, and there is no wait after which one goes unconfirmed.
const (
	semiSyncPoint   = "--rpl-semi-sync-master-wait-point=AFTER_SYNC"
	semiSyncTimeout = "--rpl-semi-sync-master-timeout=18446744073709551615"
)

// SemiSyncPrimary returns the settings of a primary that shows no commit before a replica has it.
func SemiSyncPrimary() []string {
	return []string{
		"--server-id=1", "--log-bin", "--sync-binlog=1", "--rpl-semi-sync-master-enabled=ON", semiSyncPoint, semiSyncTimeout,
	}
}

// Promote makes a replica the primary, once it has applied all that it has confirmed. It then waits for a replica of its own
// with each commit.
func (m *MariaDB) Promote(ctx context.Context) error {
	if _, err := m.Call(ctx, "STOP SLAVE IO_THREAD"); err != nil {
		return err
	}
	if err := eventually(ctx, m.Name+" to apply what it has", m.applied); err != nil {
		return err
	}
	_, err := m.Call(ctx, "STOP SLAVE; RESET SLAVE ALL; SET GLOBAL rpl_semi_sync_master_enabled = ON; SET GLOBAL read_only = OFF")
	return err
}

func (m *MariaDB) applied(ctx context.Context) error {
	status, err := m.Call(ctx, "SHOW SLAVE STATUS\\G")
	if err == nil && !strings.Contains(status, "Slave has read all relay log") {
		err = errors.New("it is not through with its relay log")
	}
	return err
}

// Call gives the server statements, and returns what its client prints.
func (m *MariaDB) Call(ctx context.Context, statements string) (string, error) {
	path, err := Find(ctx, "mariadb", "mariadb-client")
	if err != nil {
		return "", err
	}
	args := []string{
		"--no-defaults", "--protocol=tcp", "-h", m.On.Address, "-P", strconv.Itoa(m.Port), "-u", "refrain", "-e", statements,
	}
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("calling %s: %w: %s", m.Name, err, out)
	}
	return string(out), nil
}
