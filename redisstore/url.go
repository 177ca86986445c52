package redisstore

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A kind is how many servers there are behind a URL.
type kind string

const (
	single   kind = "redis"
	sentinel kind = "redis+sentinel"
	cluster  kind = "redis+cluster"
)

// A target is where the store is.
type target struct {
	kind             kind
	tls              *tls.Config
	user, password   string
	addresses        []string
	master           string
	db               int
	sentinelUser     string
	sentinelPassword string
}

// String names the target without its credentials.
func (t *target) String() string {
	s := string(t.kind) + "://" + strings.Join(t.addresses, ",")
	if t.tls != nil {
		s = "rediss" + strings.TrimPrefix(s, "redis")
	}
	if t.master != "" {
		s += "/" + t.master
	}
	if t.db != 0 {
		s += "/" + strconv.Itoa(t.db)
	}
	return s
}

// parse reads a URL, and puts its parameters and the defaults into cfg. Errors do not repeat what may be a password.
//
// Not with url.Parse, which takes no list of hosts.
func parse(text string, cfg *Config) (*target, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, errors.New("a Redis URL begins with redis://")
	}
	t := &target{kind: kind(scheme)}
	if tail, ok := strings.CutPrefix(scheme, "rediss"); ok {
		t.kind, t.tls = kind("redis"+tail), cfg.TLS
		if t.tls == nil {
			t.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		}
	}
	if t.kind != single && t.kind != sentinel && t.kind != cluster {
		return nil, fmt.Errorf("there is no scheme %q: it is redis, redis+sentinel or redis+cluster, or one of them with rediss",
			scheme)
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if name, _, _ := strings.Cut(query, "="); strings.Contains(path+name, "@") {
		return nil, errors.New("the Redis URL has an @ behind a / or ?; in a user or a password these are written %2F and %3F")
	}
	if err := t.parseAuthority(authority); err != nil {
		return nil, err
	}
	if err := t.parsePath(path); err != nil {
		return nil, err
	}
	return t, t.parseQuery(query, cfg)
}

func (t *target) parseAuthority(s string) error {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		user, password, _ := strings.Cut(s[:i], ":")
		var err1, err2 error
		t.user, err1 = url.PathUnescape(user)
		t.password, err2 = url.PathUnescape(password)
		if err1 != nil || err2 != nil {
			return errors.New("the user or the password of the Redis URL is not escaped as it should be")
		}
		s = s[i+1:]
	}
	port := "6379"
	if t.kind == sentinel {
		port = "26379"
	}
	for address := range strings.SplitSeq(s, ",") {
		host, p, err := net.SplitHostPort(address)
		if err != nil {
			host, p = strings.Trim(address, "[]"), port
		}
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 || strings.Contains(host, "/") {
			return errors.New("one of the hosts of the Redis URL is none, or its port is no number")
		}
		t.addresses = append(t.addresses, net.JoinHostPort(cmp.Or(host, "127.0.0.1"), p))
	}
	if t.kind == single && len(t.addresses) > 1 {
		return errors.New("redis:// takes one host: more are for redis+sentinel:// or redis+cluster://")
	}
	return nil
}

func (t *target) parsePath(path string) error {
	db := path
	if t.kind == sentinel {
		t.master, db, _ = strings.Cut(path, "/")
		if t.master == "" {
			return errors.New("the name of the master is missing: redis+sentinel://HOST:PORT,HOST:PORT/MASTER")
		}
	}
	if db == "" {
		return nil
	}
	n, err := strconv.ParseUint(db, 10, 16)
	switch {
	case err != nil:
		return fmt.Errorf("%q is no number of a database", db)
	case n != 0 && t.kind == cluster:
		return errors.New("a Redis Cluster has no database but 0")
	}
	t.db = int(n)
	return nil
}

func (t *target) parseQuery(query string, cfg *Config) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the parameters of the Redis URL are not escaped as they should be")
	}
	for name, v := range values {
		if err := t.parameter(cfg, name, v[len(v)-1]); err != nil {
			return fmt.Errorf("parameter %s: %w", name, err)
		}
	}
	cfg.Prefix = cmp.Or(cfg.Prefix, "refrain")
	cfg.WaitTimeout = cmp.Or(cfg.WaitTimeout, time.Second)
	cfg.AuditEvery = cmp.Or(cfg.AuditEvery, 10*time.Second)
	switch {
	case strings.Trim(cfg.Prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-") != "":
		return errors.New("a prefix is of letters, digits and the characters . _ : -")
	case cfg.Wait < 0 || cfg.WaitTimeout < 0 || cfg.AuditEvery < 0:
		return errors.New("wait, wait_timeout and audit_every must not be negative")
	}
	return nil
}

func (t *target) parameter(cfg *Config, name, value string) (err error) {
	switch name {
	case "prefix":
		cfg.Prefix = value
	case "identity":
		cfg.Identity = value
	case "wait":
		cfg.Wait, err = strconv.Atoi(value)
	case "wait_timeout":
		cfg.WaitTimeout, err = time.ParseDuration(value)
	case "wait_fsync":
		cfg.WaitFsync, err = strconv.ParseBool(value)
	case "audit_every":
		cfg.AuditEvery, err = time.ParseDuration(value)
	case "sentinel_user":
		t.sentinelUser = value
	case "sentinel_password":
		t.sentinelPassword = value
	default:
		return errors.New("there is none of that name")
	}
	return err
}
