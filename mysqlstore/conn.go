package mysqlstore

import (
	"context"
	"database/sql/driver"
)

// A connector is the driver's, with the session set up.
type connector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	raw, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn := &connection{driverConn: raw.(driverConn)}
	if _, err := conn.ExecContext(ctx, session, nil); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// A connection is the driver's, which nobody uses again when the server has refused something on it. A text whose statement was
// killed, or waited for a lock in vain, ends there with its transaction open: whoever used the connection next would work in that
// transaction, and be told of commits that are none.
type connection struct {
	driverConn
	refused bool
}

// driverConn is what database/sql uses of the driver's connections.
type driverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// IsValid implements driver.Validator.
func (c *connection) IsValid() bool { return !c.refused && c.driverConn.IsValid() }

func (c *connection) saw(err error) error {
	c.refused = c.refused || number(err) != 0
	return err
}

// ExecContext implements driver.ExecerContext.
func (c *connection) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	res, err := c.driverConn.ExecContext(ctx, query, args)
	return res, c.saw(err)
}

// QueryContext implements driver.QueryerContext.
func (c *connection) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.driverConn.QueryContext(ctx, query, args)
	return rows, c.saw(err)
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *connection) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	st, err := c.driverConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, c.saw(err)
	}
	return &preparedCall{st.(driverStmt), c}, nil
}

// A preparedCall is a prepared statement of a connection.
type preparedCall struct {
	driverStmt
	conn *connection
}

// driverStmt is what database/sql uses of the driver's statements.
type driverStmt interface {
	driver.Stmt
	driver.NamedValueChecker
	driver.StmtExecContext
	driver.StmtQueryContext
}

// QueryContext implements driver.StmtQueryContext.
func (p *preparedCall) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := p.driverStmt.QueryContext(ctx, args)
	return rows, p.conn.saw(err)
}
