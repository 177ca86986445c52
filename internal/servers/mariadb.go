package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A MariaDB is a server with an empty database and a user, both named refrain, without a password.
type MariaDB struct {
	*Process

	On   *Host
	Port int
}

// StartMariaDB starts a server with settings besides its defaults, such as "--log-bin".
func StartMariaDB(ctx context.Context, dir string, settings ...string) (*MariaDB, error) {
	return Here().StartMariaDB(ctx, dir, settings...)
}

// StartMariaDB is [StartMariaDB] on another host.
func (h *Host) StartMariaDB(ctx context.Context, dir string, settings ...string) (*MariaDB, error) {
	return h.startMariaDB(ctx, dir, "", settings)
}

// URL names the server's database to mysqlstore.
func (m *MariaDB) URL() string { return "mysql://refrain@" + m.On.At(m.Port) + "/refrain" }

// mysqlUser is whom Debian's package makes for the server.
const mysqlUser = "mysql"

// noAIO has the server do without a resource of the system that is soon used up where many servers run.
const noAIO = "--innodb-use-native-aio=OFF"

func (h *Host) startMariaDB(ctx context.Context, dir, first string, settings []string) (*MariaDB, error) {
	path, err := Find(ctx, "mariadbd", "mariadb-server")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := initMariaDB(ctx, dir, data, first); err != nil {
		return nil, fmt.Errorf("preparing MariaDB: %w", err)
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	m := &MariaDB{On: h, Port: port}
	m.Process, err = Start(ctx, Command{
		Name: "mariadb", Path: path, Dir: dir, User: mysqlUser, Host: h, Ends: syscall.SIGTERM,
		Args: append([]string{
			"--no-defaults", "--datadir=" + data, "--tmpdir=" + dir, "--init-file=" + filepath.Join(dir, "init.sql"),
			"--bind-address=" + h.Address, fmt.Sprint("--port=", port), "--socket=" + filepath.Join(dir, "sock"),
			"--pid-file=" + filepath.Join(dir, "pid"), "--skip-name-resolve", "--innodb-buffer-pool-size=256M",
			"--innodb-log-file-size=256M", "--max-connections=400", noAIO,
		}, settings...),
		Ready: m.greets,
	})
	return m, err
}

// initMariaDB makes the data folder, and the statements that the server runs whenever it starts.
func initMariaDB(ctx context.Context, dir, data, first string) error {
	install, err := Find(ctx, "mariadb-install-db", "mariadb-server")
	if err != nil {
		return err
	}
	if err := Own(dir, mysqlUser); err != nil {
		return err
	}
	args := []string{
		"--no-defaults", "--datadir=" + data, "--auth-root-authentication-method=normal", "--skip-test-db",
		"--innodb-log-file-size=256M", noAIO,
	}
	if os.Geteuid() == 0 {
		args = append(args, "--user="+mysqlUser)
	}
	cmd := exec.CommandContext(ctx, install, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir) // the user may not write to ours
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out[:min(len(out), 2000)]) // what is behind is advice
	}
	statements := "SET sql_log_bin = 0;\nCREATE DATABASE IF NOT EXISTS refrain;\n" +
		"CREATE USER IF NOT EXISTS refrain@'%';\nGRANT ALL ON *.* TO refrain@'%' WITH GRANT OPTION;\n" + first
	return os.WriteFile(filepath.Join(dir, "init.sql"), []byte(statements), 0o644)
}

// greets waits for the packet that the server sends first: of its version, after five bytes, not of an error.
func (m *MariaDB) greets(ctx context.Context) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.On.At(m.Port))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	b := make([]byte, 30)
	if _, err := io.ReadFull(conn, b); err != nil {
		return err
	}
	if !strings.Contains(string(b[5:]), "MariaDB") {
		return errors.New("it is not MariaDB that answers")
	}
	return nil
}
