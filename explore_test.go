package refrain

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// The exploration walks through every state that the pure functions can reach for two operations and three attempts whose
// processes crash, whose requests and answers are lost, repeated and delayed, while leases and retentions end. It checks the
// promises on every step. Attempts also find out what became of another's claim, as probes and operators do.
//
// Two states that differ in names only, of attempts, operations or fingerprints, are one.

// The bounds of the exploration. With two repeats it has millions of states and finds nothing more.
const (
	worldKeys     = 2
	worldAttempts = 3
	worldCrashes  = 2
	worldRepeats  = 1 // of requests whose answer did not come
)

// A phase is where an attempt stands, as far as it knows itself.
type phase uint8

const (
	idle      phase = iota // has not asked yet
	asking                 // sent a claim; the answer may still come
	working                // was told to run
	settling               // sent a settlement; the answer may still come
	resolving              // sent word of what became of another's claim; the answer may still come
	over                   // was told the end, or told not to run
	crashed                // lost its memory; what it sent may still arrive
)

// An actor is one attempt: which operation it wants, what it means by it, and what it has sent.
type actor struct {
	phase   phase
	key     uint8
	mode    uint8 // bit 0: another fingerprint; bit 1: may rerun
	ending  Ending
	claims  uint8 // copies of the claim that the network still holds
	settles uint8 // copies of the settlement that the network still holds
	seen    uint8 // the attempt whose claim it found out about, plus 1
	word    Ending
	words   uint8 // copies of that word that the network still holds
}

// A world is a state of everything. It is comparable, so that the walk knows where it has been.
type world struct {
	records [worldKeys]shadow
	fence   uint8
	fences  [worldKeys]uint8 // the greatest fence that each operation had
	actors  [worldAttempts]actor
	crashes uint8
	repeats uint8
}

// A shadow is a record without its absolute times: they matter only as far as they have passed.
type shadow struct {
	state   State
	owner   uint8 // the attempt whose token it holds, plus 1
	fence   uint8
	other   bool // fingerprint
	outcome uint8
	past    uint8 // how many of its times have passed: running: the lease; done: the retention, the tombstone
}

var exploreEpoch = time.Unix(1_700_000_000, 0)

func actorToken(i int) Token { return Token{byte(i + 1), 1} }

func actorFingerprint(other bool) (fp Fingerprint) {
	if other {
		fp[0] = 1
	}
	return fp
}

// record returns the record that the shadow stands for, at exploreEpoch.
func (s shadow) record() Record {
	if s.state == StateAbsent {
		return Record{}
	}
	r := Record{
		State: s.state, Token: actorToken(int(s.owner) - 1), Fence: uint64(s.fence),
		Fingerprint: actorFingerprint(s.other), Created: exploreEpoch,
	}
	at := func(passed bool) time.Time {
		if passed {
			return exploreEpoch.Add(-time.Second)
		}
		return exploreEpoch.Add(time.Hour)
	}
	switch s.state {
	case StateRunning:
		r.Lease = at(s.past > 0)
	case StateDone:
		r.Retain, r.Forget = at(s.past > 0), at(s.past > 1)
	}
	if s.outcome != 0 {
		r.Outcome = &Outcome{Status: int(s.outcome)}
	}
	return r
}

// shadowOf is the inverse of record.
func shadowOf(r Record) shadow {
	if r.State == StateAbsent {
		return shadow{}
	}
	s := shadow{state: r.State, owner: r.Token[0], fence: uint8(r.Fence), other: r.Fingerprint[0] == 1}
	passed := func(t time.Time) uint8 {
		if !exploreEpoch.Before(t) {
			return 1
		}
		return 0
	}
	switch r.State {
	case StateRunning:
		s.past = passed(r.Lease)
	case StateDone:
		s.past = passed(r.Retain) + passed(r.Forget)
	}
	if r.Outcome != nil {
		s.outcome = uint8(r.Outcome.Status)
	}
	return s
}

// An explorer finds the steps that are possible in a world, and what they break.
type explorer struct {
	steps  []step
	broken error
}

type step struct {
	name  string
	actor int // or operation
	next  world
}

func (x *explorer) add(w world, actor int, name string) {
	x.steps = append(x.steps, step{name, actor, w})
}

func (x *explorer) breaks(promise int, format string, args ...any) {
	if x.broken == nil {
		x.broken = fmt.Errorf("promise %d: %s", promise, fmt.Sprintf(format, args...))
	}
}

// explore returns every step out of w.
func (x *explorer) explore(w world) {
	x.steps = x.steps[:0]
	for k := range w.records {
		x.time(w, k)
	}
	for i := range w.actors {
		a := w.actors[i]
		if a.phase == idle {
			x.start(w, i)
		}
		if a.claims > 0 {
			x.deliverClaim(w, i)
		}
		if a.settles > 0 {
			x.deliverSettlement(w, i)
		}
		if a.words > 0 {
			x.deliverWord(w, i)
		}
		if a.phase == working || a.phase == settling { // a renewal may be on its way while the claim ends
			x.renew(w, i)
		}
		if a.phase == working {
			x.end(w, i)
		}
		if (a.phase == asking || a.phase == settling || a.phase == resolving) && w.repeats < worldRepeats {
			x.repeat(w, i)
		}
		if w.crashes < worldCrashes && a.phase != idle && a.phase != over && a.phase != crashed {
			n := w
			n.crashes++
			n.actors[i].phase = crashed
			x.add(n, i, "crashes")
		}
	}
}

// time lets the next time of a record pass.
func (x *explorer) time(w world, k int) {
	r := w.records[k]
	if r.state == StateRunning && r.past < 1 || r.state == StateDone && r.past < 2 {
		n := w
		n.records[k].past++
		x.add(n, k, "(an operation): time passes")
	}
}

// start lets an idle attempt choose what it wants and send its claim. Attempts are alike, so they start in their order, and
// the first wants the first operation as it is.
func (x *explorer) start(w world, i int) {
	if i > 0 && w.actors[i-1].phase == idle {
		return
	}
	for key := range uint8(worldKeys) {
		for mode := range uint8(4) {
			if i == 0 && (key != 0 || mode&1 != 0) {
				continue
			}
			n := w
			n.actors[i] = actor{phase: asking, key: key, mode: mode, claims: 1}
			x.add(n, i, "sends a claim")
		}
	}
}

// repeat sends the request once more, for no answer came, or another ending instead.
func (x *explorer) repeat(w world, i int) {
	n := w
	n.repeats++
	switch w.actors[i].phase {
	case asking:
		n.actors[i].claims++
	case resolving:
		n.actors[i].words++
	default:
		n.actors[i].settles++
		for _, e := range []Ending{Finished, Released, Undecided} {
			if e != w.actors[i].ending {
				other := n
				other.actors[i].ending, other.actors[i].settles = e, 1
				x.add(other, i, "changes its mind: "+e.String())
			}
		}
	}
	x.add(n, i, "sends its request again")
}

// deliverClaim lets the store see a copy of the claim; the answer arrives or is lost. That the claim itself is lost needs no
// step: it is never delivered.
func (x *explorer) deliverClaim(w world, i int) {
	a := w.actors[i]
	cur := w.records[a.key]
	c := Claim{Token: actorToken(i), Fingerprint: actorFingerprint(a.mode&1 != 0), Lease: time.Hour, Rerun: a.mode&2 != 0}
	d, written := c.Apply(cur.record(), exploreEpoch, uint64(w.fence)+1)
	n := w
	n.actors[i].claims--
	if written {
		n.fence++
		n.records[a.key] = shadowOf(d.Record)
	}
	x.checkClaim(w, n, i, d, written)
	if written {
		n.fences[a.key] = max(n.fences[a.key], uint8(d.Record.Fence))
	}
	x.add(n, i, "claimed, and the answer is lost")
	if a.phase != asking {
		return // nobody listens
	}
	switch d.Verdict {
	case Run:
		n.actors[i].phase = working
	case Unknown:
		x.resolve(n, i, Finished)
		x.resolve(n, i, Released)
		n.actors[i].phase = over // and holds
	case Replay, Expired:
		x.resolve(n, i, Forgotten)
		n.actors[i].phase = over
	default: // in flight: it may ask again, as after a lost answer
		n.actors[i].phase = over
	}
	x.add(n, i, "claimed, and hears the verdict")
}

// resolve lets an attempt, as a probe or an operator, find out what became of the claim that it was shown.
func (x *explorer) resolve(w world, i int, word Ending) {
	a := &w.actors[i]
	if a.words > 0 {
		return
	}
	a.phase, a.word, a.words, a.seen = resolving, word, 1, w.records[a.key].owner
	x.add(w, i, "finds out: "+word.String())
}

// deliverWord lets the store see a copy of what an attempt found out about another's claim. Who found out that nothing
// happened claims anew.
func (x *explorer) deliverWord(w world, i int) {
	a := w.actors[i]
	s := Settlement{Token: actorToken(int(a.seen) - 1), Ending: a.word, Retention: time.Hour, Tombstone: time.Hour}
	if a.word != Forgotten {
		s.Instead = actorToken(i)
	}
	if a.word == Finished {
		s.Outcome = &Outcome{Status: i + 1}
	}
	next, written, err := s.Apply(w.records[a.key].record(), exploreEpoch)
	n := w
	n.actors[i].words--
	if written {
		n.records[a.key] = shadowOf(next)
	}
	x.checkWord(w, n, i, err)
	x.add(n, i, "resolved, and the answer is lost")
	if a.phase == resolving {
		n.actors[i].phase = over
		if a.word == Released {
			n.actors[i].phase, n.actors[i].claims = asking, a.claims+1
		}
		x.add(n, i, "resolved, and hears so")
	}
}

// renew lets an owner's renewal arrive.
func (x *explorer) renew(w world, i int) {
	cur := w.records[w.actors[i].key]
	next, err := Renewal{Token: actorToken(i), Lease: time.Hour}.Apply(cur.record(), exploreEpoch)
	n := w
	if err == nil {
		n.records[w.actors[i].key] = shadowOf(next)
	}
	x.checkOwner(w, n, i, "renewal", err)
	if err == nil && n != w {
		x.add(n, i, "renews")
	}
}

// end lets an owner end its claim in one of three ways. An attempt finishes with an outcome of its own.
func (x *explorer) end(w world, i int) {
	for _, e := range []Ending{Finished, Released, Undecided} {
		n := w
		n.actors[i].phase, n.actors[i].ending, n.actors[i].settles = settling, e, 1
		x.add(n, i, "ends: "+e.String())
	}
}

// deliverSettlement lets the store see a copy of the settlement; the answer arrives or is lost.
func (x *explorer) deliverSettlement(w world, i int) {
	a := w.actors[i]
	s := Settlement{Token: actorToken(i), Ending: a.ending, Retention: time.Hour, Tombstone: time.Hour}
	if a.ending != Released {
		s.Outcome = &Outcome{Status: i + 1}
	}
	next, written, err := s.Apply(w.records[a.key].record(), exploreEpoch)
	n := w
	n.actors[i].settles--
	if written {
		n.records[a.key] = shadowOf(next)
	}
	x.checkOwner(w, n, i, a.ending.String(), err)
	x.add(n, i, "settled, and the answer is lost")
	if a.phase == settling {
		n.actors[i].phase = over
		x.add(n, i, "settled, and hears so")
	}
}

// checkClaim checks what a claim did, against the state before it and by words of its own.
func (x *explorer) checkClaim(w, n world, i int, d Decision, written bool) {
	a := w.actors[i]
	before, after := w.records[a.key], n.records[a.key]
	mine := uint8(i + 1)
	other := a.mode&1 != 0
	lapsed := before.state == StateRunning && before.past > 0 || before.state == StateUnknown
	live := before.state == StateRunning && before.past == 0
	forgotten := before.state == StateAbsent || before.state == StateDone && before.past > 1

	if !written && n.records != w.records {
		x.breaks(4, "a claim that did not win changed the record")
	}
	if written && d.Verdict != Run {
		x.breaks(1, "a claim was written with verdict %v", d.Verdict)
	}
	if n.records[1-a.key] != w.records[1-a.key] {
		x.breaks(7, "a claim changed another operation")
	}
	if d.Verdict == Run {
		x.checkRun(w, i, d, written)
	}
	switch {
	case forgotten:
		if d.Verdict != Run {
			x.breaks(8, "a forgotten operation got verdict %v", d.Verdict)
		}
	case live && before.owner == mine: // the claim recognises itself
		if d.Verdict != Run || written {
			x.breaks(1, "a repeated claim got verdict %v", d.Verdict)
		}
	case before.other != other:
		if d.Verdict != Mismatch || before != after {
			x.breaks(4, "a mismatch got verdict %v, and the record went from %+v to %+v", d.Verdict, before, after)
		}
	case live:
		if d.Verdict != InFlight {
			x.breaks(1, "a duplicate of a live claim got verdict %v", d.Verdict)
		}
	case lapsed:
		if rerun := a.mode&2 != 0; rerun != (d.Verdict == Run) || !rerun && d.Verdict != Unknown {
			x.breaks(6, "an unknown operation got verdict %v, rerun %v", d.Verdict, rerun)
		}
	case before.past == 0:
		if d.Verdict != Replay || d.Record.Outcome.Status != int(before.outcome) {
			x.breaks(3, "a finished operation got verdict %v with %+v, want outcome %d", d.Verdict, d.Record.Outcome, before.outcome)
		}
	default:
		if d.Verdict != Expired || d.Record.Outcome != nil {
			x.breaks(8, "a tombstone got verdict %v", d.Verdict)
		}
	}
}

// checkRun checks what must hold whenever anybody is told to run.
func (x *explorer) checkRun(w world, i int, d Decision, written bool) {
	a := w.actors[i]
	before := w.records[a.key]
	if d.Record.Token != actorToken(i) || d.Record.State != StateRunning {
		x.breaks(1, "attempt %d runs on the record %+v", i, d.Record)
	}
	if written && d.Record.Fence <= uint64(w.fences[a.key]) {
		x.breaks(1, "got fence %d after %d", d.Record.Fence, w.fences[a.key])
	}
	if !written && d.Record.Fence != uint64(before.fence) {
		x.breaks(1, "a repeated claim got fence %d, was %d", d.Record.Fence, before.fence)
	}
}

// checkOwner checks a settlement or renewal: it succeeds with the newest token only, and changes nothing else.
func (x *explorer) checkOwner(w, n world, i int, what string, err error) {
	a := w.actors[i]
	before, after := w.records[a.key], n.records[a.key]
	forgotten := before.state == StateAbsent || before.state == StateDone && before.past > 1
	newest := !forgotten && before.owner == uint8(i+1)
	switch {
	case err != nil && !errors.Is(err, ErrStale):
		x.breaks(2, "the %s got error %v", what, err)
	case err != nil && n.records != w.records:
		x.breaks(2, "a refused %s changed the record", what)
	case err == nil && !newest:
		x.breaks(2, "the %s of attempt %d went through on %+v", what, i, before)
	case err != nil && newest && (before.state == StateRunning || before.state == StateUnknown && what != "renewal"):
		x.breaks(2, "the %s with the newest token was refused on %+v", what, before)
	}
	if before.state == StateDone && before.past < 2 && before != after {
		x.breaks(3, "the %s changed a finished operation from %+v to %+v", what, before, after)
	}
	if n.records[1-a.key] != w.records[1-a.key] || n.fence != w.fence {
		x.breaks(7, "the %s changed another operation", what)
	}
	if after.state == StateRunning && (before.state != StateRunning || before.fence != after.fence) {
		x.breaks(1, "the %s made a claim: %+v to %+v", what, before, after)
	}
}

// checkWord checks what a probe or an operator did: it ended just the claim that it was shown, which was nobody's any more, and
// changed nothing else. What it was shown to be done it could only forget.
func (x *explorer) checkWord(w, n world, i int, err error) {
	a := w.actors[i]
	before, after := w.records[a.key], n.records[a.key]
	lapsed := before.state == StateUnknown || before.state == StateRunning && before.past > 0
	ended := before.state == StateDone && before.past < 2
	may := before.owner == a.seen && (lapsed && a.word != Forgotten || ended && a.word == Forgotten)
	repeated := ended && before.owner == uint8(i+1) && a.word == Finished
	want := shadow{}
	if a.word == Finished {
		want = before
		want.state, want.owner, want.outcome, want.past = StateDone, uint8(i+1), uint8(i+1), 0
	}
	switch {
	case err != nil && !errors.Is(err, ErrStale):
		x.breaks(2, "the word %v got error %v", a.word, err)
	case may != (err == nil) && !repeated:
		x.breaks(2, "the word %v on the claim of attempt %d got error %v on %+v", a.word, a.seen-1, err, before)
	case may && after != want:
		x.breaks(2, "the word %v made %+v of %+v", a.word, after, before)
	case !may && after != before:
		x.breaks(3, "the word %v changed %+v to %+v", a.word, before, after)
	case n.records[1-a.key] != w.records[1-a.key] || n.fence != w.fence:
		x.breaks(7, "the word %v changed another operation", a.word)
	}
}

// checkWorld checks what must hold in every state.
func (x *explorer) checkWorld(w world) {
	for k, r := range w.records {
		if r.state != StateAbsent && r.fence != w.fences[k] || w.fences[k] > w.fence {
			x.breaks(1, "fence %d of operation %d, greatest %d, counter %d", r.fence, k, w.fences[k], w.fence)
		}
		if r.state == StateAbsent != (r.owner == 0) {
			x.breaks(2, "a record without an owner: %+v", r)
		}
	}
}

// canonical drops what no later step depends on: how great fences are, for only their order matters, and what an attempt
// was about that is over.
func (w world) canonical() world {
	w.fence = 0
	for k := range w.records {
		w.fences[k] = min(w.fences[k], 1)
		w.fence = max(w.fence, w.fences[k])
		w.records[k].fence = min(w.records[k].fence, 1)
	}
	for i := range w.actors {
		a := &w.actors[i]
		if a.phase == over {
			a.phase = crashed // it listens no more
		}
		if a.claims == 0 && a.phase != asking && a.phase != resolving {
			a.mode = 0
		}
		if a.words == 0 && a.phase != resolving {
			a.word, a.seen = 0, 0
		}
		if a.settles == 0 && a.phase != settling {
			a.ending = 0
		}
		if a.phase == crashed && a.claims+a.settles+a.words == 0 {
			*a = actor{phase: crashed}
		}
	}
	for k := range uint8(worldKeys) {
		w.nameFingerprint(k)
	}
	w = w.sorted()
	mirror := w
	mirror.records[0], mirror.records[1] = w.records[1], w.records[0]
	mirror.fences[0], mirror.fences[1] = w.fences[1], w.fences[0]
	for i := range mirror.actors {
		if a := &mirror.actors[i]; a.phase != idle && *a != (actor{phase: crashed}) {
			a.key = 1 - a.key
		}
	}
	mirror = mirror.sorted()
	for i := range w.actors {
		if a, b := w.rank(i), mirror.rank(i); a != b {
			if b < a {
				return mirror
			}
			return w
		}
	}
	return w
}

// nameFingerprint calls the fingerprint of the record the usual one: which is which does not matter.
func (w *world) nameFingerprint(k uint8) {
	if !w.records[k].other {
		return
	}
	w.records[k].other = false
	for i := range w.actors {
		if a := &w.actors[i]; a.key == k && (a.claims > 0 || a.phase == asking || a.phase == resolving) {
			a.mode ^= 1
		}
	}
}

// sorted puts the attempts that have started into an order of what they are, for who came first does not matter, nor the names of
// their tokens and outcomes.
func (w world) sorted() world {
	for i := range w.actors {
		for j := i; j > 0 && w.rank(j) < w.rank(j-1); j-- {
			w.swap(j, j-1)
		}
	}
	return w
}

// rank is a number that two attempts share only if nothing tells them apart.
func (w *world) rank(i int) (n uint64) {
	a := &w.actors[i]
	if a.phase == idle {
		return 1 << 63
	}
	for _, b := range []uint8{uint8(a.phase), a.key, a.mode, uint8(a.ending), a.claims, a.settles, uint8(a.word), a.words} {
		n = n<<4 | uint64(b)
	}
	for _, b := range w.actors {
		n <<= 1
		if b.seen == uint8(i+1) {
			n |= 1
		}
	}
	for _, r := range w.records {
		n <<= 2
		if r.owner == uint8(i+1) {
			n |= 1
		}
		if r.outcome == uint8(i+1) {
			n |= 2
		}
	}
	return n
}

func (w *world) swap(i, j int) {
	w.actors[i], w.actors[j] = w.actors[j], w.actors[i]
	rename := func(name *uint8) {
		switch *name {
		case uint8(i + 1):
			*name = uint8(j + 1)
		case uint8(j + 1):
			*name = uint8(i + 1)
		}
	}
	for k := range w.records {
		rename(&w.records[k].owner)
		rename(&w.records[k].outcome)
	}
	for k := range w.actors {
		rename(&w.actors[k].seen)
	}
}

// TestProtocolExhaustively visits every reachable state and names the steps to the first one that breaks a promise.
func TestProtocolExhaustively(t *testing.T) {
	t.Parallel()
	type visit struct {
		step
		from int32
	}
	visits := []visit{{from: -1}}
	seen := map[world]struct{}{{}: {}}
	var x explorer
	steps := 0
	for i := 0; i < len(visits); i++ {
		x.explore(visits[i].next)
		x.checkWorld(visits[i].next)
		if x.broken != nil {
			for j := int32(i); j > 0; j = visits[j].from {
				t.Logf("%d %s: %+v", visits[j].actor, visits[j].name, visits[j].next)
			}
			t.Fatalf("after these steps, the last one first: %v", x.broken)
		}
		steps += len(x.steps)
		for _, s := range x.steps {
			s.next = s.next.canonical()
			if _, ok := seen[s.next]; !ok {
				seen[s.next] = struct{}{}
				visits = append(visits, visit{s, int32(i)})
			}
		}
	}
	t.Logf("%d states, %d steps", len(visits), steps)
	if len(visits) < 100_000 {
		t.Errorf("got %d states; the exploration has become too small to mean anything", len(visits))
	}
}

// TestProtocolAtRandom walks long ways with more of everything than can be explored exhaustively.
func TestProtocolAtRandom(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %#x", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var x explorer
	for range 5000 {
		var w world
		for n := range 60 {
			x.explore(w)
			x.checkWorld(w)
			if x.broken != nil {
				t.Fatalf("step %d, in %+v: %v", n, w, x.broken)
			}
			if len(x.steps) == 0 {
				break
			}
			w = x.steps[rnd.IntN(len(x.steps))].next
			for i := range w.actors { // an attempt that is over makes room for a new one
				if a := w.actors[i]; (a.phase == over || a.phase == crashed) && a.claims+a.settles+a.words == 0 && !w.holds(i) {
					w.actors[i] = actor{}
				}
			}
			w.crashes, w.repeats = 0, 0
		}
	}
}

// holds reports whether a record still has the token of the attempt, or somebody was shown it.
func (w *world) holds(i int) bool {
	for _, r := range w.records {
		if r.owner == uint8(i+1) {
			return true
		}
	}
	for _, a := range w.actors {
		if a.seen == uint8(i+1) {
			return true
		}
	}
	return false
}
