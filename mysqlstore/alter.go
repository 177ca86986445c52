package mysqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// rest is for how long no process changes partitions after a change that was in vain.
const rest = 30 * time.Second

// errResting says that a transaction or a backup uses the tables for so long that their partitions are left as they are.
var errResting = errors.New("partitions could not be changed a moment ago")

// alter changes the partitions of a table. While it waits for a transaction that uses the table, everybody else waits behind it:
// so that they get on in between, one process at a time does it, and none for a while after one has waited in vain.
func (p *partitions) alter(ctx context.Context, table, change string) error {
	conn, err := p.store.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	const name = "CONCAT('refrain partitions ', MD5(DATABASE()))"
	var got sql.NullInt64
	// It waits for locks for half as long as others do, for if it is in vain it waits again to take back what it had begun.
	const begin = "SET SESSION lock_wait_timeout = 1; SELECT GET_LOCK(" + name + ", 3)"
	if err := conn.QueryRowContext(ctx, begin).Scan(&got); err != nil {
		return err
	}
	defer release(ctx, conn, "SET SESSION lock_wait_timeout = 2; DO RELEASE_LOCK("+name+")")
	var resting bool
	// What would last for longer was noted before the server's clock was set back.
	const look = "SELECT COALESCE(MAX(value), 0) - " + nowSQL + " BETWEEN 1 AND ? FROM refrain_meta WHERE name = 'rest'"
	if err := conn.QueryRowContext(ctx, look, us(rest)).Scan(&resting); err != nil {
		return err
	}
	if got.Int64 != 1 || resting {
		return errResting
	}
	_, err = conn.ExecContext(ctx, "ALTER TABLE "+table+" "+change)
	if number(err) == errLockWait {
		const note = "REPLACE INTO refrain_meta (name, value) VALUES ('rest', " + nowSQL + " + ?)"
		_, noted := conn.ExecContext(ctx, note, us(rest))
		err = errors.Join(err, noted)
	}
	return err
}
