package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

func entry(n byte, body string) refrain.JournalEntry {
	at := time.UnixMicro(1_700_000_000_000_000).UTC()
	return refrain.JournalEntry{
		ID: refrain.ID{n}, Retention: time.Hour, Tombstone: time.Minute, Route: "POST /charges",
		Record: refrain.Record{
			State: refrain.StateDone, Token: refrain.Token{n, 1}, Fence: uint64(n), Created: at,
			Retain: at.Add(time.Hour), Forget: at.Add(2 * time.Hour),
			Outcome: &refrain.Outcome{Status: 201, Meta: []byte("meta"), Body: []byte(body)},
		},
	}
}

func open(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func entries(t *testing.T, j *Journal) []refrain.JournalEntry {
	t.Helper()
	es, err := j.Entries()
	if err != nil {
		t.Fatal(err)
	}
	return es
}

func TestEntriesSurviveReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir)
	want := []refrain.JournalEntry{entry(1, "one"), entry(2, ""), entry(3, "three")}
	for _, e := range want {
		if err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Remove(want[1].ID, want[1].Record.Token); err != nil {
		t.Fatal(err)
	}
	want = append(want[:1], want[2])
	j.Close()
	if got := entries(t, open(t, dir)); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestRemovingTheLastEmptiesTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir)
	e := entry(1, "one")
	if err := errors.Join(j.Append(e), j.Remove(e.ID, refrain.Token{9}), j.Remove(e.ID, e.Record.Token)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "outcomes.journal")); err != nil || info.Size() != 0 {
		t.Errorf("size %v, %v; want 0", info.Size(), err)
	}
}

// A crash may cut the file anywhere in the entry that was being written; all before it is there.
func TestTornTailIsDropped(t *testing.T) {
	t.Parallel()
	one := encodeFrame(frame{kind: kindAppend, entry: entry(1, "one")})
	two := encodeFrame(frame{kind: kindAppend, entry: entry(2, "two")})
	for cut := range two {
		for name, tail := range map[string][]byte{
			"cut":   two[:cut],
			"zeros": make([]byte, cut),
			"grown": append(bytes.Clone(two[:cut]), make([]byte, len(two)-cut)...),
		} {
			dir := t.TempDir()
			write(t, dir, append(bytes.Clone(one), tail...))
			j := open(t, dir)
			if got := entries(t, j); len(got) != 1 || got[0].ID != (refrain.ID{1}) {
				t.Fatalf("%s at %d: got %d entries, want the first", name, cut, len(got))
			}
			if err := j.Append(entry(3, "three")); err != nil {
				t.Fatal(err)
			}
			j.Close()
			if got := entries(t, open(t, dir)); len(got) != 2 {
				t.Fatalf("%s at %d: got %d entries after another append, want 2", name, cut, len(got))
			}
		}
	}
}

// Damage in the middle is never passed over in silence: what follows would be lost.
func TestDamageBeforeTheEndIsRefused(t *testing.T) {
	t.Parallel()
	one := encodeFrame(frame{kind: kindAppend, entry: entry(1, "one")})
	two := encodeFrame(frame{kind: kindAppend, entry: entry(2, "two")})
	for i := range one {
		data := append(bytes.Clone(one), two...)
		data[i] ^= 0x40
		dir := t.TempDir()
		write(t, dir, data)
		if _, err := Open(dir); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d flipped: got %v, want ErrDamaged", i, err)
		}
	}
}

func TestFailedWriteLeavesTheJournalUsable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir)
	if err := j.Append(entry(1, "one")); err != nil {
		t.Fatal(err)
	}
	good := j.file
	readOnly, err := os.Open(good.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	j.file = readOnly
	if err := j.Append(entry(2, "two")); err == nil {
		t.Error("an append to a file that cannot be written succeeded")
	}
	if got := entries(t, j); len(got) != 1 {
		t.Errorf("got %d entries, want 1", len(got))
	}
	j.file = good
	j.Close()
	if got := entries(t, open(t, dir)); len(got) != 1 {
		t.Errorf("got %d entries on disk, want 1", len(got))
	}
}

func TestAJournalIsOfOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir)
	if _, err := Open(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want %v", err, ErrInUse)
	}
	j.Close()
	open(t, dir)
}

func write(t *testing.T, dir string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "outcomes.journal"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func FuzzDecodeFrame(f *testing.F) {
	f.Add(encodeFrame(frame{kind: kindAppend, entry: entry(1, "one")}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, n, err := decodeFrame(b)
		if err != nil {
			return
		}
		if again := encodeFrame(fr); !bytes.Equal(again, b[:n]) {
			t.Errorf("decoded and encoded again:\n%x\nwas\n%x", again, b[:n])
		}
	})
}
