package mysqlstore

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/go-sql-driver/mysql"
)

// parseURL returns the driver's configuration. Its errors do not show the URL, which may hold a password.
func parseURL(text string) (*mysql.Config, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "mysql" && u.Scheme != "mariadb" {
		return nil, errors.New("a store in MariaDB or MySQL is named mysql://user:password@host:port/database")
	}
	query := u.Query()
	socket := query.Get("socket")
	query.Del("socket")
	cfg, err := mysql.ParseDSN("/?" + query.Encode())
	if err != nil {
		return nil, errors.New("the parameters behind the ? are not those of the driver github.com/go-sql-driver/mysql")
	}
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(cmp.Or(u.Hostname(), "127.0.0.1"), cmp.Or(u.Port(), "3306"))
	if socket != "" {
		cfg.Net, cfg.Addr = "unix", socket
	}
	cfg.User = u.User.Username()
	cfg.Passwd, _ = u.User.Password()
	if len(u.Path) < 2 {
		return nil, errors.New("the URL names no database: mysql://user:password@host:port/database")
	}
	cfg.DBName = u.Path[1:]
	return cfg, nil
}

// openDB returns a pool of connections that work as the store's statements need it.
func openDB(given *mysql.Config, cfg *Config) (*sql.DB, error) {
	own := given.Clone()
	own.MultiStatements, own.InterpolateParams, own.ClientFoundRows, own.ParseTime = true, true, true, false
	own.RejectReadOnly = true // after a failover: the next connection may be to the new primary
	own.MaxAllowedPacket = 0  // the server's
	own.Timeout = cmp.Or(own.Timeout, 5*time.Second)
	own.Logger = &mysql.NopLogger{} // what goes wrong is in the errors
	inner, err := mysql.NewConnector(own)
	if err != nil {
		return nil, fmt.Errorf("the driver's configuration: %w", err)
	}
	db := sql.OpenDB(&connector{Connector: inner})
	db.SetMaxOpenConns(cfg.Connections)
	db.SetMaxIdleConns(cfg.Connections)
	db.SetConnMaxIdleTime(time.Minute)
	return db, nil
}

// session makes every connection the same, whatever the server's defaults are. A lock is waited for briefly: whoever holds it
// for longer is a transaction of a caller's, and who waits asks again. The lock of a table is that of a partition's maker. The
// connections of a process that stands still, or is cut off, and all that they hold, end after a while; unused ones end before.
const session = `SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET SESSION autocommit = 1, sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = 1,
	lock_wait_timeout = 2, wait_timeout = 180, group_concat_max_len = 1048576, completion_type = 0, sql_safe_updates = 0,
	sql_select_limit = 18446744073709551615`
