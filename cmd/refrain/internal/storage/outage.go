package storage

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/rueidis"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/mysqlstore"
	"github.com/refrain-dev/refrain/pgstore"
	"github.com/refrain-dev/refrain/redisstore"
)

// isOutage reports whether what kept a store from opening may pass by itself: nobody answers, or the server says that it cannot
// serve now. What it refuses to this process, or what is wrong with it, stays until somebody does something about it.
func isOutage(err error) bool { return unanswered(err) && !denied(err) && !unusable(err) }

// unanswered reports whether there is no good answer: from the way to the server, or from the server.
func unanswered(err error) bool {
	_, network := errors.AsType[*net.OpError](err)
	_, trouble := errors.AsType[*mysql.MySQLError](err)
	return network || trouble ||
		isOneOf(err, refrain.ErrUnavailable, driver.ErrBadConn, mysql.ErrInvalidConn, context.DeadlineExceeded)
}

// unusable reports whether it is what the server is, or has, that is to blame.
func unusable(err error) bool {
	_, lost := errors.AsType[*redisstore.LostError](err)
	_, mistrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return lost || mistrusted || isOneOf(err, redisstore.ErrUnfit, pgstore.ErrSchema, mysqlstore.ErrSchema, mysqlstore.ErrDenied)
}

func isOneOf(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

// What the servers say to those whom they do not let in, or not to what they ask for: because of their credentials or their host,
// of a database that is not there, or of rights.
var (
	deniedByPostgres = []string{"28", "3D", "42"} // how the code begins
	deniedByMySQL    = []uint16{1044, 1045, 1049, 1130, 1142, 1143, 1227, 1251, 1305, 1370, 1524, 1698, 1820, 1862, 3118, 4151}
	// How the text begins.
	deniedByRedis = []string{"WRONGPASS", "NOAUTH", "NOPERM", "AUTH ", "DB index", "No such master", "unknown command"}
	// PgBouncer has one code for all, that of a server which is away too: a part of the text, which may be that of the server.
	deniedByPgBouncer = []string{"authentication failed", "no such database", "no such user", "does not exist"}
)

// codePgBouncer is the code of what PgBouncer says for itself.
const codePgBouncer = "08P01"

// denied reports whether a server does not let this process in.
func denied(err error) bool {
	if p, ok := errors.AsType[*pgconn.PgError](err); ok {
		return begins(p.Code, deniedByPostgres) || p.Code == codePgBouncer && has(p.Message, deniedByPgBouncer)
	}
	if r, ok := errors.AsType[*rueidis.RedisError](err); ok {
		return begins(r.Error(), deniedByRedis)
	}
	m, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && slices.Contains(deniedByMySQL, m.Number)
}

func has(text string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
}

func begins(text string, with []string) bool {
	return slices.ContainsFunc(with, func(begin string) bool { return strings.HasPrefix(text, begin) })
}
