package redisstore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/refrain-dev/refrain"
)

// scanned is how many keys a server looks at before it answers others.
const scanned = 1000

// List implements refrain.Lister. Redis has no order of keys: each page looks at every key of the database, a thousand at a time,
// so that it takes some seconds for each million, whatever the page's size. An operation whose slot moves to another node of a
// Cluster meanwhile may be missing.
func (s *Store) List(ctx context.Context, q refrain.ListQuery) ([]refrain.Listed, error) {
	q.Limit = cmp.Or(q.Limit, 100)
	p := page{query: &q}
	if err := s.walk(ctx, p.may, p.add); err != nil {
		return nil, err
	}
	return p.first(), nil
}

// Walk implements refrain.Walker. It takes as long as one page of List.
func (s *Store) Walk(ctx context.Context, f func(refrain.Listed)) error {
	return s.walk(ctx, func(refrain.ID) bool { return true }, func(l refrain.Listed) {
		if l.Record.State != refrain.StateAbsent {
			f(l)
		}
	})
}

// walk reads the records of the operations that it may read, and shows them.
func (s *Store) walk(ctx context.Context, may func(refrain.ID) bool, show func(refrain.Listed)) error {
	if err := s.usable(); err != nil {
		return fmt.Errorf("listing: %w", err)
	}
	clients, err := s.masters(ctx)
	for i := 0; err == nil && i < len(clients); i++ {
		err = s.scan(ctx, clients[i], may, show)
	}
	if err != nil {
		return fmt.Errorf("listing: %w", s.describe(err))
	}
	return nil
}

// masters returns what talks to each server that holds records.
func (s *Store) masters(ctx context.Context) ([]rueidis.Client, error) {
	if s.target.kind != cluster {
		return []rueidis.Client{s.client}, nil
	}
	var masters []rueidis.Client
	for _, c := range s.client.Nodes() {
		role, err := c.Do(ctx, c.B().Role().Build()).ToArray()
		if err != nil {
			return nil, err
		}
		if name, _ := role[0].ToString(); name == "master" {
			masters = append(masters, c)
		}
	}
	return masters, nil
}

// scan looks at every key of a server.
func (s *Store) scan(ctx context.Context, c rueidis.Client, may func(refrain.ID) bool, show func(refrain.Listed)) error {
	pattern := s.cfg.Prefix + ":{" + s.cfg.Prefix + ".*}:*"
	for cursor := uint64(0); ; {
		entry, err := c.Do(ctx, c.B().Scan().Cursor(cursor).Match(pattern).Count(scanned).Build()).AsScanEntry()
		if err != nil {
			return err
		}
		var ids []refrain.ID
		for _, key := range entry.Elements {
			if id, ok := s.idOf(key); ok && may(id) {
				ids = append(ids, id)
			}
		}
		if err := s.read(ctx, c, ids, show); err != nil {
			return err
		}
		if cursor = entry.Cursor; cursor == 0 {
			return nil
		}
	}
}

// idOf returns the operation whose record has the key.
func (s *Store) idOf(key string) (id refrain.ID, ok bool) {
	name := key[strings.LastIndexByte(key, ':')+1:]
	if b, err := hex.DecodeString(name); err != nil || copy(id[:], b) != len(id) || len(b) != len(id) {
		return id, false
	}
	return id, s.names.of(&id)[1] == key
}

// read reads records without their outcomes from the server that has named them, and shows them.
func (s *Store) read(ctx context.Context, c rueidis.Client, ids []refrain.ID, show func(refrain.Listed)) error {
	if len(ids) == 0 {
		return nil
	}
	commands := make(rueidis.Commands, 0, len(ids)+1)
	commands = append(commands, c.B().Time().Build())
	for i := range ids {
		commands = append(commands, c.B().Get().Key(s.names.of(&ids[i])[1]).Build())
	}
	results := c.DoMulti(ctx, commands...)
	now, err := clock(results[0])
	if err != nil {
		return err
	}
	for i, id := range ids {
		key := s.names.of(&id)[1]
		value, err := results[i+1].ToString()
		if r, answered := rueidis.IsRedisErr(err); answered && (isMoved(r) || isAsk(r)) {
			value, err = s.client.Do(ctx, s.client.B().Get().Key(key).Build()).ToString()
		}
		switch {
		case rueidis.IsRedisNil(err):
			continue
		case err != nil && !strings.HasPrefix(err.Error(), "WRONGTYPE"):
			return err
		}
		r, _, ok := decodeRecord(key, value)
		if !ok {
			r = refrain.Unreadable()
		}
		show(refrain.Listed{ID: id, Record: r.At(now)})
	}
	return nil
}

func isMoved(r *rueidis.RedisError) bool { _, ok := r.IsMoved(); return ok }

func isAsk(r *rueidis.RedisError) bool { _, ok := r.IsAsk(); return ok }

// clock reads the answer to TIME.
func clock(r rueidis.RedisResult) (time.Time, error) {
	parts, err := r.AsStrSlice()
	if err != nil || len(parts) != 2 {
		return time.Time{}, errors.Join(err, errNonsense)
	}
	seconds, err1 := strconv.ParseInt(parts[0], 10, 64)
	micros, err2 := strconv.ParseInt(parts[1], 10, 64)
	return at(seconds*1_000_000 + micros), errors.Join(err1, err2)
}

// A page is what a query asks for of the operations that were looked at.
type page struct {
	query *refrain.ListQuery
	all   []refrain.Listed
	last  *refrain.ID // what comes after it has no room
}

// may reports whether the page may have room for the operation.
func (p *page) may(id refrain.ID) bool {
	return bytes.Compare(id[:], p.query.From[:]) >= 0 && (p.last == nil || bytes.Compare(id[:], p.last[:]) <= 0)
}

// add puts an operation on the page if the query asks for it.
func (p *page) add(l refrain.Listed) {
	if q := p.query; l.Record.State == refrain.StateAbsent || q.State != refrain.StateAbsent && l.Record.State != q.State {
		return
	}
	if p.all = append(p.all, l); len(p.all) >= 2*p.query.Limit {
		if p.all = p.first(); len(p.all) == p.query.Limit {
			last := p.all[len(p.all)-1].ID
			p.last = &last
		}
	}
}

// first returns the operations of the page in their order.
func (p *page) first() []refrain.Listed {
	compare := func(a, b refrain.Listed) int { return bytes.Compare(a.ID[:], b.ID[:]) }
	slices.SortFunc(p.all, compare)
	p.all = slices.CompactFunc(p.all, func(a, b refrain.Listed) bool { return a.ID == b.ID }) // a scan may name a key twice
	return p.all[:min(len(p.all), p.query.Limit)]
}
