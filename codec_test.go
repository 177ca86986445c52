package refrain_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

var codecID = refrain.ID{0: 0xaa, 31: 0xbb}

// codecRecords are records of every state and shape.
func codecRecords() map[string]refrain.Record {
	at := func(s int64) time.Time { return time.UnixMicro(1_700_000_000_000_000 + s*1_000_001).UTC() }
	base := refrain.Record{
		Token:       refrain.Token{1, 2, 3, 15: 16},
		Fence:       0x0102030405060708,
		Fingerprint: refrain.Fingerprint{9, 31: 10},
		Created:     at(0),
	}
	running, unknown, answered, done := base, base, base, base
	running.State, running.Lease = refrain.StateRunning, at(30)
	unknown.State = refrain.StateUnknown
	answered.State, answered.Outcome = refrain.StateUnknown, &refrain.Outcome{Status: 503, Meta: []byte{}, Body: []byte("later")}
	done.State, done.Retain, done.Forget = refrain.StateDone, at(60), at(120)
	omitted, empty, expired := done, done, done
	done.Outcome = &refrain.Outcome{Status: 201, Meta: []byte("meta\x00"), Body: []byte("{\"id\":1}\xff")}
	omitted.Outcome = &refrain.Outcome{Status: -1, Meta: []byte("m"), Body: []byte{}, Omitted: true}
	empty.Outcome = &refrain.Outcome{Meta: []byte{}, Body: []byte{}}
	expired.State = refrain.StateExpired
	return map[string]refrain.Record{
		"running": running, "unknown": unknown, "answered": answered, "done": done, "omitted": omitted, "empty": empty,
		"expired": expired,
	}
}

func TestCodecRoundTrip(t *testing.T) {
	t.Parallel()
	for name, r := range codecRecords() {
		b := refrain.AppendRecord([]byte("before"), codecID, r)
		got, err := refrain.DecodeRecord(codecID, b[len("before"):])
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%s: got %+v and error %v, want %+v", name, got, err, r)
		}
	}
}

// TestCodecGolden has the bytes of version 1. They are on the disks of users: the file may grow and never changes.
func TestCodecGolden(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile("testdata/records-version-1.golden")
	if err != nil {
		t.Fatal(err)
	}
	records := codecRecords()
	for line := range strings.Lines(string(golden)) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		want, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		r := records[name]
		delete(records, name)
		if got := refrain.AppendRecord(nil, codecID, r); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
		if got, err := refrain.DecodeRecord(codecID, want); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%s: got %+v and error %v, want %+v", name, got, err, r)
		}
	}
	if len(records) != 0 {
		t.Errorf("%d records are not in the file", len(records))
	}
}

// TestCodecRefusesDamage cuts records at every byte, flips every bit, and reads them under another name.
func TestCodecRefusesDamage(t *testing.T) {
	t.Parallel()
	for name, r := range codecRecords() {
		b := refrain.AppendRecord(nil, codecID, r)
		refused := func(id refrain.ID, b []byte, what string, at int) {
			t.Helper()
			got, err := refrain.DecodeRecord(id, b)
			if !errors.Is(err, refrain.ErrUnreadable) || !reflect.DeepEqual(got, refrain.Record{}) {
				t.Errorf("%s, %s %d: got %+v and error %v, want %v", name, what, at, got, err, refrain.ErrUnreadable)
			}
		}
		for n := range b {
			refused(codecID, b[:n], "cut at", n)
		}
		for n := range 8 * len(b) {
			damaged := bytes.Clone(b)
			damaged[n/8] ^= 1 << (n % 8)
			refused(codecID, damaged, "flipped bit", n)
		}
		for n := range 8 * len(codecID) {
			id := codecID
			id[n/8] ^= 1 << (n % 8)
			refused(id, b, "under a name that differs in bit", n)
		}
		refused(codecID, append(bytes.Clone(b), 0), "with bytes too many:", 1)
	}
}

// TestCodecRefusesNonsense has right checksums on records that no version writes.
func TestCodecRefusesNonsense(t *testing.T) {
	t.Parallel()
	running := refrain.AppendRecord(nil, codecID, codecRecords()["running"])
	done := refrain.AppendRecord(nil, codecID, codecRecords()["done"])
	for name, test := range map[string]struct {
		from   []byte
		change func(b []byte) []byte
		want   string
	}{
		"another version":          {running, func(b []byte) []byte { b[0] = 2; return b }, "version 2"},
		"an absent record":         {running, func(b []byte) []byte { b[1] = 0; return b }, "state 0"},
		"a state there is not":     {running, func(b []byte) []byte { b[1] = 5; return b }, "state 5"},
		"a flag there is not":      {running, func(b []byte) []byte { b[2] = 4; return b }, "flags 0x4"},
		"omitted, but no outcome":  {running, func(b []byte) []byte { b[2] = 2; return b }, "flags 0x2"},
		"bytes after no outcome":   {running, func(b []byte) []byte { return append(b, 1, 2, 3) }, "3 bytes too many"},
		"an outcome cut short":     {running, func(b []byte) []byte { b[2] = 1; return append(b, 1, 2, 3) }, "outcome is cut short"},
		"metadata longer than all": {done, func(b []byte) []byte { b[95] = 0xff; return b }, "metadata is cut short"},
	} {
		b := test.change(bytes.Clone(test.from[:len(test.from)-4]))
		_, err := refrain.DecodeRecord(codecID, sealed(b))
		if !errors.Is(err, refrain.ErrUnreadable) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want %v with %q", name, err, refrain.ErrUnreadable, test.want)
		}
	}
}

// sealed appends the checksum that makes b a record of codecID, if it can be one.
func sealed(b []byte) []byte {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(crc32.Checksum(codecID[:], castagnoli), castagnoli, b)
	return binary.LittleEndian.AppendUint32(slices.Clip(b), sum)
}

// FuzzDecodeRecord decodes anything: with the checksum as it comes, and with the right one, for damage that a checksum does
// not find. What decodes must encode to the same bytes.
func FuzzDecodeRecord(f *testing.F) {
	for _, r := range codecRecords() {
		b := refrain.AppendRecord(nil, codecID, r)
		f.Add(b)
		f.Add(b[:len(b)-4])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, sealed(b)} {
			before := bytes.Clone(b)
			r, err := refrain.DecodeRecord(codecID, b)
			if !bytes.Equal(b, before) {
				t.Error("decoding changed the bytes")
			}
			if err != nil {
				if !errors.Is(err, refrain.ErrUnreadable) {
					t.Errorf("got error %v, want %v", err, refrain.ErrUnreadable)
				}
				continue
			}
			if r.State == refrain.StateAbsent || r.State > refrain.StateExpired {
				t.Errorf("got a record in state %d", r.State)
			}
			if again := refrain.AppendRecord(nil, codecID, r); !bytes.Equal(again, b) && !bytes.Contains(b, spelledZero) {
				t.Errorf("got %x from %x", again, b)
			}
			now := r.At(time.Now())
			_ = now.Judge(refrain.Fingerprint{}).String() + now.State.String()
		}
	})
}

// spelledZero is Go's zero time in microseconds, which the encoding writes as 0.
var spelledZero = binary.LittleEndian.AppendUint64(nil, uint64(time.Time{}.UnixMicro()))
