package refrain

import (
	"testing"
	"testing/synctest"
	"time"
)

func done(body string, now time.Time, retention time.Duration) Record {
	return Record{
		State: StateDone, Token: Token{1}, Retain: now.Add(retention), Forget: now.Add(2 * retention),
		Outcome: &Outcome{Body: []byte(body)},
	}
}

func TestRecallEndsWithTheRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRecall(1 << 20)
		now := time.Now().Add(-time.Hour) // the store's clock is an hour behind
		id := ID{7}
		first, second := done("first", now, time.Minute), done("second", now, time.Minute)
		c.keep(id, 7, &first, now)
		c.keep(id, 7, &second, now)
		time.Sleep(time.Minute - 1)
		if r, at := c.look(&id); r.State != StateDone || string(r.Outcome.Body) != "first" || !at.Equal(now.Add(time.Minute-1)) {
			t.Errorf("got %v at %v; want the first outcome by the store's time", r, at)
		}
		time.Sleep(time.Nanosecond)
		if r, _ := c.look(&id); r.State != StateAbsent {
			t.Error("an outcome was recalled after its retention")
		}
		if n, slot := c.shard(&id).bytes, c.slots[7].Load(); n != 0 || slot != 0 {
			t.Errorf("%d bytes and %d keys are still counted", n, slot)
		}
	})
}

func TestRecallIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	c := newRecall(limit)
	now := time.Now()
	hot := ID{0, 0, 0, 1}
	warm, cold, huge := done("hot", now, time.Hour), done("cold", now, time.Hour), done(string(make([]byte, limit)), now, time.Hour)
	c.keep(hot, 1, &warm, now)
	for i := range 10_000 {
		c.keep(ID{byte(i), byte(i >> 8), 1}, uint32(i), &cold, now)
		if r, _ := c.look(&hot); r.State != StateDone {
			t.Fatalf("what is asked for all the time was dropped after %d others", i)
		}
	}
	c.keep(ID{9, 9, 9}, 9, &huge, now)
	bytes := 0
	for i := range c.shards {
		bytes += c.shards[i].bytes
	}
	if bytes > limit || bytes < limit/2 {
		t.Errorf("it holds %d bytes, want at most %d and not much less", bytes, limit)
	}
	for _, r := range []Record{{}, {State: StateUnknown}, {State: StateRunning}, {State: StateExpired}} {
		id := ID{5, 5, byte(r.State)}
		if c.keep(id, 5, &r, now); c.shard(&id).byID[id] != nil {
			t.Errorf("a record in state %s was kept", r.State)
		}
	}
}
