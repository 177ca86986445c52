package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/payments"
)

func TestPlanIsDrawnFromItsSeed(t *testing.T) {
	t.Parallel()
	keys := map[string]bool{}
	draw := func(seed uint64) []operation {
		all := plan(300, seed)
		for i := range all {
			keys[all[i].key], all[i].key = true, ""
		}
		return all
	}
	if !reflect.DeepEqual(draw(5), draw(5)) {
		t.Error("got two storms of one seed")
	}
	if reflect.DeepEqual(draw(5), draw(6)) {
		t.Error("got one storm of two seeds")
	}
	faults, copies, forgets := map[fault]int{}, map[int]int{}, 0
	for _, op := range draw(5) {
		faults[op.fault]++
		copies[op.copies]++
		forgets += one(op.forgets)
	}
	for f := range faultsCount {
		if faults[f] < 20 {
			t.Errorf("got fault %d in %d of 300 operations, want more", f, faults[f])
		}
	}
	if copies[2] < 10 || copies[3] < 10 || forgets < 40 || len(keys) != 5*300 {
		t.Errorf("got copies %v, %d that ask again, %d keys", copies, forgets, len(keys))
	}
}

// A proxy that does not do its work must not pass.
func TestDemoFindsOutImpostors(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"naked": "charges beyond the first of their operation",
		"liar":  "told of a charge that the ledger does not have",
		"mute":  "neither charged nor reported",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, progress bytes.Buffer
			err := Run(t.Context(), Config{
				Executable: impostor(t, name), Operations: 120, Seed: 11, JSON: true, Out: &out, Err: &progress,
			})
			if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), want) {
				t.Errorf("got error %v, want ErrBroken with %q\n%s", err, want, &progress)
			}
			var report Report
			if err := json.Unmarshal(out.Bytes(), &report); err != nil {
				t.Fatalf("got no report: %v\n%s", err, &out)
			}
			if report.Bare.Duplicates == 0 || report.Bare.Intended != 120 || report.Refrain.Intended != 120 {
				t.Errorf("got bare %+v, refrain %+v", report.Bare, report.Refrain)
			}
		})
	}
}

func TestDemoLeavesNothingBehindWhenInterrupted(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	ctx, interrupt := context.WithCancel(t.Context())
	err := Run(ctx, Config{
		Executable: impostor(t, "naked"), Seed: 3, Out: &bytes.Buffer{},
		Err: writerFunc(func(p []byte) (int, error) {
			if strings.Contains(string(p), "the proxy is back") {
				interrupt()
			}
			return len(p), nil
		}),
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "refrain-demo-*")); len(left) > 0 {
		t.Errorf("got %v left behind", left)
	}
}

func TestDemoSaysWhyTheProxyDidNotStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho out of luck >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := Run(t.Context(), Config{Executable: path, Operations: 20, Seed: 2, Out: &bytes.Buffer{}, Err: &bytes.Buffer{}})
	if err == nil || errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "out of luck") {
		t.Errorf("got error %v, want the proxy's last words", err)
	}
}

func TestKindIsWhatTheBestInformedClientKnows(t *testing.T) {
	t.Parallel()
	p, u, r, n := paid("a"), ended(payments.Unknown), ended(payments.Refused), ended(payments.Unanswered)
	for want, told := range map[payments.Kind]heard{
		payments.Paid: {n, r, u, p}, payments.Unknown: {n, r, u}, payments.Refused: {n, r}, payments.Unanswered: {n, n},
	} {
		if got := told.kind(); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
