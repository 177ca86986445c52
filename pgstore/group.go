package pgstore

import (
	"context"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/refrain-dev/refrain"
)

// write makes transactions until the queue is closed.
func (s *Store) write() {
	for {
		runtime.Gosched() // for those who were just answered to ask for more
		group := s.queue.take()
		if group == nil {
			return
		}
		s.commit(group)
	}
}

// commit makes the requests of a group in one transaction and answers them.
func (s *Store) commit(group []*request) {
	var seen []sighting
	err := s.retry(s.closing, func() (err error) {
		if seen, err = s.call(group); codeOf(err) == codeNoPartition && evict(group) {
			seen, err = s.call(group)
		}
		return err
	})
	s.queue.land(group)
	if err != nil && len(group) > 1 && isOfOne(err) { // the others shall not suffer for it
		for _, r := range group {
			r.alone = true
			s.queue.add(r)
		}
		return
	}
	err = s.fault(err)
	for i, r := range group {
		switch {
		case err != nil:
			r.answer(err)
		case !r.conclude(&seen[i]):
			s.rest(r)
		default:
			s.buckets.note(r.settlement, &seen[i])
			if r.settlement != nil {
				s.watches.settled(r.id)
			}
			r.answer(r.err)
		}
	}
}

// evict has the requests find room in bucket 0, which is always there: another bucket was dropped meanwhile, or the server's
// process does not know of it yet. It reports whether any of them was to go elsewhere.
func evict(group []*request) (found bool) {
	for _, r := range group {
		found = found || !r.homeless
		r.homeless = true
	}
	return found
}

// isOfOne reports whether the error may be the fault of a single request: it is about data, or about a limit.
func isOfOne(err error) bool {
	code := codeOf(err)
	return strings.HasPrefix(code, "22") || strings.HasPrefix(code, "54") || strings.HasPrefix(code, "23")
}

// call makes the requests in one transaction, in one round trip, and returns what the database showed of each.
//
// The transaction has no deadline, and nobody cancels it: PostgreSQL would report success for a commit whose wait for a standby
// was cancelled. Callers wait as long as they like.
func (s *Store) call(group []*request) ([]sighting, error) {
	conn, err := s.pool.Acquire(s.closing)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	sent := s.sort(group)
	var batch pgconn.Batch
	for i := range sent {
		sent[i].send(&batch)
	}
	wire := conn.Conn().PgConn()
	warned(wire) // of what has nothing to do with this transaction: who connected or vacuumed may have been told something
	results := wire.ExecBatch(context.Background(), &batch)
	seen := make([]sighting, len(group))
	for i := 0; results.NextResult(); i++ {
		read(results.ResultReader(), sent[i].places, seen)
	}
	if err := results.Close(); err != nil {
		return nil, err
	}
	if warned(wire) {
		return nil, errNotReplicated
	}
	for i := range seen {
		if seen[i].n == 0 {
			return nil, errNonsense
		}
	}
	return seen, nil
}

// read reads the rows of one call, each to the place of its request.
func read(rows *pgconn.ResultReader, places []int, seen []sighting) {
	for rows.NextRow() {
		var one sighting
		one.decode(rows.Values()[0])
		if one.n > 0 && one.n <= len(places) {
			seen[places[one.n-1]] = one
		}
	}
	_, _ = rows.Close() // its error is the batch's too
}

// A shipment is the requests of one kind on their way to the database.
type shipment struct {
	call   string
	params params
	places []int // of the requests in the group
}

func (c *shipment) send(b *pgconn.Batch) {
	b.ExecParams(c.call, c.params.values, c.params.oids, c.params.formats(), binaryFormat)
}

// sort divides a group by kind.
func (s *Store) sort(group []*request) (sent []shipment) {
	var places [3][]int
	for i, r := range group {
		kind := 0
		switch {
		case r.settlement != nil:
			kind = 1
		case r.renewal != nil:
			kind = 2
		}
		places[kind] = append(places[kind], i)
	}
	for kind, p := range places {
		if len(p) == 0 {
			continue
		}
		some := make([]*request, len(p))
		for i, place := range p {
			some[i] = group[place]
		}
		c := shipment{places: p}
		switch kind {
		case 0:
			c.call, c.params = s.calls.claim, s.claims(some)
		case 1:
			c.call, c.params = s.calls.settle, s.settlements(some)
		case 2:
			c.call, c.params = s.calls.renew, s.renewals(some)
		}
		sent = append(sent, c)
	}
	return sent
}

// locks begins the parameters of a call: the store, the locks and the names of the operations.
func (s *Store) begin(group []*request) (p params) {
	locks, ids := newArray(oidBigint, len(group)), newArray(oidBytea, len(group))
	for _, r := range group {
		locks.bigint(s.lock(&r.id))
		ids.bytes(r.id[:])
	}
	p.add(oidUUID, s.name[:])
	p.add(oidBigints, locks)
	p.add(oidByteas, ids)
	return p
}

func (s *Store) claims(group []*request) params {
	n := len(group)
	tokens, prints, leases, reruns := newArray(oidBytea, n), newArray(oidBytea, n), newArray(oidBigint, n), newArray(oidBool, n)
	for _, r := range group {
		tokens.bytes(r.claim.Token[:])
		prints.bytes(r.claim.Fingerprint[:])
		leases.bigint(r.claim.Lease.Microseconds())
		reruns.bool(r.claim.Rerun)
	}
	p := s.begin(group)
	p.add(oidByteas, tokens)
	p.add(oidByteas, prints)
	p.add(oidBigints, leases)
	p.add(oidBools, reruns)
	return p
}

func (s *Store) renewals(group []*request) params {
	n := len(group)
	tokens, leases := newArray(oidBytea, n), newArray(oidBigint, n)
	for _, r := range group {
		tokens.bytes(r.renewal.Token[:])
		leases.bigint(r.renewal.Lease.Microseconds())
	}
	p := s.begin(group)
	p.add(oidByteas, tokens)
	p.add(oidBigints, leases)
	return p
}

func (s *Store) settlements(group []*request) params {
	n := len(group)
	tokens, insteads, endings := newArray(oidBytea, n), newArray(oidBytea, n), newArray(oidShort, n)
	retentions, tombstones := newArray(oidBigint, n), newArray(oidBigint, n)
	ofOutcomes, ofDone := newArray(oidShort, n), newArray(oidShort, n)
	statuses, omits, metas, bodies := newArray(oidInt, n), newArray(oidBool, n), newArray(oidBytea, n), newArray(oidBytea, n)
	for _, r := range group {
		e := r.settlement
		tokens.bytes(e.Token[:])
		if e.Instead == (refrain.Token{}) {
			insteads.null()
		} else {
			insteads.bytes(e.Instead[:])
		}
		endings.short(int16(e.Ending))
		retentions.bigint(e.Retention.Microseconds())
		tombstones.bigint(e.Tombstone.Microseconds())
		ofOutcomes.short(r.widthFor(e.Retention))
		ofDone.short(r.widthFor(e.Retention + e.Tombstone))
		if o := e.Outcome; o != nil {
			statuses.int(int32(o.Status))
			omits.bool(o.Omitted)
			metas.bytes(o.Meta)
			bodies.bytes(o.Body)
			continue
		}
		statuses.null()
		omits.null()
		metas.null()
		bodies.null()
	}
	p := s.begin(group)
	p.add(oidByteas, tokens)
	p.add(oidByteas, insteads)
	p.add(oidShorts, endings)
	p.add(oidBigints, retentions)
	p.add(oidBigints, tombstones)
	p.add(oidShorts, ofOutcomes)
	p.add(oidShorts, ofDone)
	p.add(oidInts, statuses)
	p.add(oidBools, omits)
	p.add(oidByteas, metas)
	p.add(oidByteas, bodies)
	return p
}
