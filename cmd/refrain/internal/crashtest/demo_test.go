package crashtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// demo returns the command `refrain demo` with a directory for temporary files of its own.
func demo(t *testing.T, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer, tmp string) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), binary, append([]string{"demo"}, args...)...)
	tmp = t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr, tmp
}

// nothingLeft checks that the demo left no file, and no process that works on one.
func nothingLeft(t *testing.T, tmp string) {
	t.Helper()
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range commands {
		if line, _ := os.ReadFile(name); bytes.Contains(line, []byte(tmp)) {
			t.Errorf("got process %s left behind: %q", name, line)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) > 0 {
		t.Errorf("got %v left behind", left)
	}
}

// `refrain demo --json` prints one object, and exits with 0 because the promises hold.
func TestDemoContract(t *testing.T) {
	t.Parallel()
	cmd, stdout, stderr, tmp := demo(t, "--json")
	if err := cmd.Run(); err != nil {
		t.Fatalf("got %v, want exit status 0\n%s", err, stderr)
	}
	type side struct{ Intended, Charged, Duplicates, Lost, Unknown *int }
	var report struct{ Bare, Refrain *side }
	d := json.NewDecoder(stdout)
	if err := d.Decode(&report); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Errorf("got %v after the object, want the end", err)
	}
	for name, s := range map[string]*side{"bare": report.Bare, "refrain": report.Refrain} {
		if s == nil || s.Intended == nil || s.Charged == nil || s.Duplicates == nil || s.Lost == nil || s.Unknown == nil {
			t.Fatalf("%s: got %+v, want all five fields", name, s)
		}
		t.Logf("%s: intended %d, charged %d, duplicates %d, lost %d, unknown %d",
			name, *s.Intended, *s.Charged, *s.Duplicates, *s.Lost, *s.Unknown)
	}
	bare, refrain := report.Bare, report.Refrain
	if *bare.Intended != *refrain.Intended || *bare.Intended < 200 {
		t.Errorf("got %d and %d operations intended, want the same few hundred", *bare.Intended, *refrain.Intended)
	}
	if *bare.Duplicates < *bare.Intended/4 || *bare.Charged != *bare.Intended+*bare.Duplicates {
		t.Error("the bare run must charge many twice")
	}
	if *refrain.Duplicates != 0 || *refrain.Lost != 0 {
		t.Error("behind Refrain nothing may be charged twice or lost")
	}
	if missing := *refrain.Intended - *refrain.Charged; missing < 0 || missing > *refrain.Unknown {
		t.Errorf("%d operations are neither charged nor unknown", missing-*refrain.Unknown)
	}
	nothingLeft(t, tmp)
}

// `refrain demo --store` starts the server, and leaves nothing of it.
func TestDemoOnServers(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"redis:", "postgres:", "mysql:"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			cmd, stdout, stderr, tmp := demo(t, "--store", store)
			everybodyEnters(t, tmp)
			if err := cmd.Run(); err != nil {
				if strings.Contains(stderr.String(), "apt-get install") && os.Getenv("CI") == "" {
					t.Skip(stderr)
				}
				t.Fatalf("got %v, want exit status 0\n%s", err, stderr)
			}
			if !strings.Contains(stdout.String(), "operations intended") {
				t.Errorf("got\n%s\nwant the table", stdout)
			}
			nothingLeft(t, tmp)
		})
	}
}

// everybodyEnters opens a folder of the test, and those above it: some servers do not run as root.
func everybodyEnters(t *testing.T, dir string) {
	t.Helper()
	for ; dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// `refrain demo --keep` leaves everything up to play with, and Ctrl-C takes it down.
func TestDemoKeep(t *testing.T) {
	t.Parallel()
	cmd, stdout, _, tmp := demo(t, "--keep", "--seed", "42")
	cmd.Stderr = nil
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	text := readUntil(t, pipe, "the demo starts it anew")
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl to try the demo's curl lines with")
	}
	curl := regexp.MustCompile(`(?s)(curl -i .*?reference":"mine-1"}')`).FindString(text)
	for _, want := range []string{"Idempotency-Status: executed", "Idempotent-Replayed: true"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", curl+" -sS --max-time 20").CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), "201 Created") {
			t.Errorf("%s: got %v\n%s\nwant %s", curl, err, out, want)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, pipe)
	if err := cmd.Wait(); err != nil {
		t.Errorf("got %v, want exit status 0", err)
	}
	if !strings.Contains(text, "seed 42") || !strings.Contains(stdout.String(), "operations intended") {
		t.Errorf("got\n%s\n%s\nwant the seed and the table", text, stdout)
	}
	nothingLeft(t, tmp)
}

// Ctrl-C in the middle leaves no process and no file behind.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	cmd, _, _, tmp := demo(t)
	cmd.Stderr = nil
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	readUntil(t, pipe, "kill -9")
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	// The proxy inherits nothing of this pipe; it ends when the demo has.
	_, _ = io.Copy(io.Discard, pipe)
	if err := cmd.Wait(); err == nil {
		t.Error("got exit status 0 of an interrupted demo")
	}
	nothingLeft(t, tmp)
}

// readUntil reads lines until one contains the mark, and returns them. A demo that never says it runs into the test's own
// time limit.
func readUntil(t *testing.T, r io.Reader, mark string) string {
	t.Helper()
	var text strings.Builder
	for lines := bufio.NewScanner(r); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), mark) {
			return text.String()
		}
	}
	t.Fatalf("the demo ended without saying %q:\n%s", mark, &text)
	return ""
}
