package pebblestore

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// BenchmarkAgainstAppend compares the store with the physical limit: a file to which one goroutine appends the same bytes,
// gathered in the same way, and calls fdatasync. An operation is a claim and a finish of 512 bytes, from 256 goroutines. The
// two take turns, so that both see the same machine; ratio is the median over the turns of the append's time by the store's.
func BenchmarkAgainstAppend(b *testing.B) {
	const goroutines, turn = 256, 8192
	s := openStore(b, b.TempDir(), Config{})
	defer s.Close()
	log := openAppendLog(b, filepath.Join(b.TempDir(), "log"))
	defer log.close()
	claim, finish := loggedBytes()

	var ours, theirs []time.Duration
	for left := b.N; left > 0; left -= turn {
		n := min(left, turn)
		ours = append(ours, timed(n, goroutines, func() error { return runOperation(s) }))
		theirs = append(theirs, timed(n, goroutines, func() error { return errorsOf(log.append(claim), log.append(finish)) }))
	}
	b.ReportMetric(float64(b.N)/sum(ours).Seconds(), "store-ops/s")
	b.ReportMetric(float64(b.N)/sum(theirs).Seconds(), "append-ops/s")
	b.ReportMetric(medianRatio(theirs, ours), "ratio")
	b.ReportMetric(0, "ns/op")
}

// runOperation claims and finishes a new operation.
func runOperation(s *Store) error {
	c := newClaim()
	ctx := context.Background()
	if d, err := s.Claim(ctx, c); err != nil || d.Verdict != refrain.Run {
		return fmt.Errorf("claim: got verdict %v, error %w", d.Verdict, err)
	}
	_, err := s.Settle(ctx, finishOf(c))
	return err
}

func newClaim() refrain.Claim {
	c := refrain.Claim{Lease: time.Hour}
	fillRandom(c.ID[:])
	fillRandom(c.Token[:])
	return c
}

// fillRandom is cheap, to measure the store.
func fillRandom(b []byte) {
	for i := 0; i < len(b); i += 8 {
		v := rand.Uint64()
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
}

var benchOutcome = refrain.Outcome{
	Status: 201, Meta: bytes.Repeat([]byte("m"), 112), Body: bytes.Repeat([]byte("b"), 400),
}

func finishOf(c refrain.Claim) refrain.Settlement {
	return refrain.Settlement{
		ID: c.ID, Token: c.Token, Ending: refrain.Finished, Outcome: &benchOutcome,
		Retention: 24 * time.Hour, Tombstone: 7 * 24 * time.Hour,
	}
}

// loggedBytes returns as many bytes as a claim and a finish add to the store's write-ahead log.
func loggedBytes() (claim, finish []byte) {
	c := newClaim()
	now := time.Now()
	d, _ := c.Apply(refrain.Record{}, now, 1)
	done, _, _ := finishOf(c).Apply(d.Record, now)
	const kindAndLengths = 3
	claim = refrain.AppendRecord(make([]byte, kindAndLengths+runningKeySize), c.ID, d.Record)
	finish = make([]byte, 2+runningKeySize)
	finish = appendHead(append(finish, make([]byte, kindAndLengths+headKeySize)...), c.ID, done, place{})
	finish = refrain.AppendRecord(append(finish, make([]byte, kindAndLengths+1+outcomeKeySize)...), c.ID, done)
	return claim, finish
}

// timed runs n calls from so many goroutines.
func timed(n, goroutines int, call func() error) time.Duration {
	var next atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range goroutines {
		all.Go(func() {
			for next.Add(1) <= int64(n) {
				if err := call(); err != nil {
					panic(err)
				}
			}
		})
	}
	all.Wait()
	return time.Since(start)
}

// An appendLog is a file and the goroutine that appends to it what the callers gave while the last sync was under way.
type appendLog struct {
	file    *os.File
	mu      sync.Mutex
	waiting []entry
	wake    chan struct{}
	done    chan error
}

type entry struct {
	bytes []byte
	done  chan error
}

func openAppendLog(tb testing.TB, name string) *appendLog {
	tb.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	l := &appendLog{file: f, wake: make(chan struct{}, 1), done: make(chan error)}
	go l.run()
	return l
}

var entryChannels = sync.Pool{New: func() any { return make(chan error, 1) }}

func (l *appendLog) append(b []byte) error {
	e := entry{b, entryChannels.Get().(chan error)}
	l.mu.Lock()
	l.waiting = append(l.waiting, e)
	first := len(l.waiting) == 1
	l.mu.Unlock()
	if first {
		l.wake <- struct{}{}
	}
	err := <-e.done
	entryChannels.Put(e.done)
	return err
}

func (l *appendLog) run() {
	defer close(l.done)
	var group []entry
	var buf []byte
	for range l.wake {
		l.mu.Lock()
		group, l.waiting = l.waiting, group[:0]
		l.mu.Unlock()
		buf = buf[:0]
		for _, e := range group {
			buf = append(buf, e.bytes...)
		}
		_, err := l.file.Write(buf)
		if err == nil {
			err = fdatasync(l.file)
		}
		for _, e := range group {
			e.done <- err
		}
	}
}

func (l *appendLog) close() {
	close(l.wake)
	<-l.done
	l.file.Close()
}

func errorsOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func sum(ds []time.Duration) (total time.Duration) {
	for _, d := range ds {
		total += d
	}
	return total
}

func medianRatio(a, b []time.Duration) float64 {
	var ratios []float64
	for i := range a {
		ratios = append(ratios, float64(a[i])/float64(b[i]))
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// BenchmarkClaimLatency compares the latency of claims, of first executions from 64 goroutines, at 10,000 and at 1,000,000
// records. The two stores take turns; ratio is that of the two 99th percentiles.
func BenchmarkClaimLatency(b *testing.B) {
	const goroutines, turn = 64, 2000
	small, large := recorded(b, 10_000), recorded(b, 1_000_000)
	var ours [2][]time.Duration
	b.ResetTimer()
	for left := b.N; left > 0; left -= turn {
		for i, s := range []*Store{small, large} {
			ours[i] = append(ours[i], claimLatencies(s, min(left, turn), goroutines)...)
		}
	}
	atSmall, atLarge := percentile(ours[0], 99), percentile(ours[1], 99)
	b.ReportMetric(float64(atSmall.Microseconds()), "p99-us-10k")
	b.ReportMetric(float64(atLarge.Microseconds()), "p99-us-1M")
	b.ReportMetric(float64(atLarge)/float64(atSmall), "ratio")
	b.ReportMetric(0, "ns/op")
}

// recorded returns a store with so many recorded operations.
func recorded(b *testing.B, n int) *Store {
	b.Helper()
	s := openStore(b, b.TempDir(), Config{})
	b.Cleanup(func() { s.Close() })
	timed(n, 256, func() error { return runOperation(s) })
	return s
}

func claimLatencies(s *Store, n, goroutines int) []time.Duration {
	all := make([]time.Duration, n)
	var next atomic.Int64
	timed(n, goroutines, func() error {
		c := newClaim()
		start := time.Now()
		_, err := s.Claim(context.Background(), c)
		all[next.Add(1)-1] = time.Since(start)
		if err != nil {
			return err
		}
		_, err = s.Settle(context.Background(), finishOf(c))
		return err
	})
	return all
}

func percentile(ds []time.Duration, p int) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)*p/100]
}

// BenchmarkOpen opens a store with 1,000,000 recorded operations and 1,000 running ones, as its process left it when it was
// killed and as it left it when it was closed, and answers one replay.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := openStore(b, dir, Config{})
	c := newClaim()
	c.Lease = time.Hour
	timed(1_000_000, 256, func() error { return runOperation(s) })
	for range 1000 {
		if _, err := s.Claim(b.Context(), newClaim()); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := s.Claim(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Settle(b.Context(), finishOf(c)); err != nil {
		b.Fatal(err)
	}
	killed := b.TempDir()
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("killed", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			again := b.TempDir()
			if err := os.CopyFS(again, os.DirFS(killed)); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			openAndReplay(b, again, c)
		}
	})
	b.Run("closed", func(b *testing.B) {
		for range b.N {
			openAndReplay(b, dir, c)
		}
	})
}

func openAndReplay(b *testing.B, dir string, c refrain.Claim) {
	b.Helper()
	s := openStore(b, dir, Config{})
	fillRandom(c.Token[:])
	if d, err := s.Claim(b.Context(), c); err != nil || d.Verdict != refrain.Replay {
		b.Fatalf("Claim: got verdict %v, error %v, want %v", d.Verdict, err, refrain.Replay)
	}
	b.StopTimer()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}

// BenchmarkMemory reports the resident memory after distinct operations with answers of 200 bytes: run it with
// -benchtime 1000000x, in a process of its own.
func BenchmarkMemory(b *testing.B) {
	s := openStore(b, b.TempDir(), Config{})
	defer s.Close()
	o := refrain.Outcome{Status: 201, Body: make([]byte, 200)}
	timed(b.N, 64, func() error {
		c := newClaim()
		if _, err := s.Claim(context.Background(), c); err != nil {
			return err
		}
		e := finishOf(c)
		e.Outcome = &o
		_, err := s.Settle(context.Background(), e)
		return err
	})
	b.ReportMetric(float64(residentBytes(b))/(1<<20), "MiB-resident")
}

func residentBytes(b *testing.B) int64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skipf("SKIPPED: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	b.Skip("SKIPPED: the system does not tell")
	return 0
}
