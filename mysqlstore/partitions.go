package mysqlstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The partitioned tables.
const (
	tableDone     = "refrain_done"
	tableOutcomes = "refrain_outcomes"
)

// A lifetime is how long rows of a table are kept.
type lifetime struct {
	table string
	kept  time.Duration
}

// partitions are those that exist, as far as this process knows. It may think that one is missing which another process has
// made, or that one is there which has been dropped; the server then says so.
type partitions struct {
	store *Store

	mu    sync.Mutex
	there map[string]map[bucket]bool
	kept  map[lifetime]bool // that have been asked for
	pause time.Time         // none is made before: the last attempt was in vain

	making chan struct{} // of one slot: somebody makes one
}

func newPartitions(s *Store) *partitions {
	return &partitions{
		store: s, there: make(map[string]map[bucket]bool), kept: make(map[lifetime]bool), making: make(chan struct{}, 1),
	}
}

// load learns which partitions there are.
func (p *partitions) load(ctx context.Context) error {
	rows, err := p.store.db.QueryContext(ctx, `SELECT table_name, partition_name FROM information_schema.partitions
WHERE table_schema = DATABASE() AND table_name IN ('refrain_done', 'refrain_outcomes') AND partition_name IS NOT NULL`)
	if err != nil {
		return err
	}
	defer rows.Close()
	there := map[string]map[bucket]bool{tableDone: {}, tableOutcomes: {}}
	for rows.Next() {
		var table, name string
		if err := rows.Scan(&table, &name); err != nil {
			return err
		}
		if n, err := strconv.ParseInt(strings.TrimPrefix(name, "p"), 10, 64); err == nil && there[table] != nil {
			there[table][bucket(n)] = true
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.there = there
	return rows.Err()
}

func (p *partitions) has(table string, b bucket) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.there[table][b]
}

// mark notes that a partition is there, or that it is not.
func (p *partitions) mark(table string, b bucket, there bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if there {
		p.there[table][b] = true
	} else {
		delete(p.there[table], b)
	}
}

// level returns the level of the partitions of the table for what is kept that long. Those of outcomes are half as wide as the
// others, so that less is there that is over: a claim looks into every partition of refrain_done, but an outcome's is known.
func (p *partitions) level(table string, kept time.Duration) int {
	if table == tableOutcomes {
		kept /= 2
	}
	return level(kept, p.store.cfg.Partition)
}

// covering returns the level of the partitions of the table for what is kept that long from about now on, when they are all
// there or can be made. Otherwise bucket 0 has to do.
func (p *partitions) covering(ctx context.Context, table string, kept time.Duration) (lvl int, ok bool) {
	p.mu.Lock()
	p.kept[lifetime{table, kept}] = true
	p.mu.Unlock()
	lvl = p.level(table, kept)
	end := p.store.clock.now().Add(kept)
	// The server's clock may be a little before or after.
	first, last := bucketAt(lvl, end.Add(-10*time.Second)), bucketAt(lvl, end.Add(10*time.Second))
	for b := first; b <= last; b += 64 {
		if !p.ensure(ctx, table, b) {
			return lvl, false
		}
	}
	return lvl, true
}

// at returns the bucket of what is kept until the time given, or 0 if its partition is missing and cannot be made.
func (p *partitions) at(ctx context.Context, table string, kept time.Duration, end time.Time) bucket {
	b := bucketAt(p.level(table, kept), end)
	if !p.ensure(ctx, table, b) {
		return 0
	}
	return b
}

// ensure sees to it that a partition is there, and reports whether it is.
func (p *partitions) ensure(ctx context.Context, table string, b bucket) bool {
	if p.has(table, b) {
		return true
	}
	select {
	case p.making <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-p.making }()
	p.mu.Lock()
	there, paused := p.there[table][b], time.Now().Before(p.pause)
	p.mu.Unlock()
	if there || paused {
		return there
	}
	err := p.alter(ctx, table, fmt.Sprintf("ADD PARTITION (PARTITION %s VALUES IN (%d))", b.name(), b))
	if n := number(err); err == nil || n == errSamePartition || n == errDuplicateValue {
		p.mark(table, b, true)
		return true
	}
	p.store.log.Warn("a partition cannot be made now; what it is for will be removed row by row",
		"table", table, "err", unavailable(err))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pause = time.Now().Add(10 * time.Second)
	return false
}

// ahead makes the partitions that will be needed soon, so that no call waits for them.
func (p *partitions) ahead(ctx context.Context, soon time.Duration) {
	p.mu.Lock()
	var lives []lifetime
	for l := range p.kept {
		lives = append(lives, l)
	}
	if len(lives) > 100 { // somebody keeps each for another time
		clear(p.kept)
	}
	p.mu.Unlock()
	for _, l := range lives {
		end := p.store.clock.now().Add(l.kept + soon)
		p.ensure(ctx, l.table, bucketAt(p.level(l.table, l.kept), end))
	}
}

// drop drops the partitions that hold only what was over long enough before now.
func (p *partitions) drop(ctx context.Context, now time.Time) error {
	if err := p.load(ctx); err != nil {
		return err
	}
	for _, table := range []string{tableOutcomes, tableDone} {
		var names []string
		p.mu.Lock()
		for b := range p.there[table] {
			if b != 0 && b.over().Add(p.store.cfg.Grace).Before(now) {
				names = append(names, b.name())
				delete(p.there[table], b)
			}
		}
		p.mu.Unlock()
		if len(names) == 0 {
			continue
		}
		err := p.alter(ctx, table, "DROP PARTITION "+strings.Join(names, ", "))
		if err != nil && number(err) != errNoSuchPartition {
			return err
		}
	}
	return nil
}
