package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// A verdict says what became of a planted bug.
type verdict string

const (
	caught   verdict = "caught"
	survives verdict = "SURVIVES" // its test passes
	broken   verdict = "BROKEN"   // it does not apply or compile, or its test fails without it
)

type finding struct {
	verdict verdict
	detail  string
}

// A tree is a copy of the work tree that bugs can be planted in.
type tree struct {
	dir   string
	sound map[string]error // tests that were run without any bug
}

// newTree copies the files that git knows, as they are now.
func newTree(ctx context.Context) (*tree, error) {
	top, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return nil, fmt.Errorf("looking for the repository: %w", err)
	}
	root := strings.TrimSpace(string(top))
	list := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	files, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the repository's files: %w", err)
	}
	dir, err := os.MkdirTemp("", "refrain-mutants-")
	if err != nil {
		return nil, err
	}
	t := &tree{dir: dir, sound: make(map[string]error)}
	for file := range strings.SplitSeq(strings.TrimRight(string(files), "\x00"), "\x00") {
		if err := copyFile(filepath.Join(root, file), filepath.Join(dir, file)); err != nil {
			t.remove()
			return nil, fmt.Errorf("copying the tree: %w", err)
		}
	}
	return t, nil
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil // deleted, but not yet in a commit
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

func (t *tree) remove() { _ = os.RemoveAll(t.dir) }

// try plants the bug, runs its test, and takes the bug out again.
func (t *tree) try(ctx context.Context, m mutant) finding {
	if err := t.check(ctx, m.Test); err != nil {
		return finding{broken, err.Error()}
	}
	undo, err := t.plant(m)
	defer undo()
	if err != nil {
		return finding{broken, err.Error()}
	}
	out, err := t.goTest(ctx, m.Test)
	switch {
	case err == nil:
		return finding{survives, "passed: go test " + strings.Join(m.Test, " ")}
	case strings.Contains(out, "[build failed]"):
		return finding{broken, "it does not compile:\n" + tail(out)}
	case !failure.MatchString(out):
		return finding{broken, "go test did not get to a verdict:\n" + tail(out)}
	}
	if strings.Contains(out, "panic: test timed out") {
		return finding{caught, "by its time limit: the test does not end"}
	}
	return finding{verdict: caught}
}

// failure is what go test prints when a test failed, as opposed to go test itself.
var failure = regexp.MustCompile(`(?m)^\s*--- FAIL: |^panic: |^fatal error: |^WARNING: DATA RACE`)

// check runs the test without any bug, once.
func (t *tree) check(ctx context.Context, test []string) error {
	name := strings.Join(test, " ")
	err, known := t.sound[name]
	if known {
		return err
	}
	out, err := t.goTest(ctx, test)
	switch {
	case err != nil:
		err = fmt.Errorf("its test fails without it: go test %s:\n%s", name, tail(out))
	case strings.Contains(out, "no tests to run"):
		err = fmt.Errorf("its test does not exist: go test %s", name)
	}
	t.sound[name] = err
	return err
}

// plant makes the mutant's edits. Undo restores the files, whatever the error.
func (t *tree) plant(m mutant) (undo func(), err error) {
	before := make(map[string][]byte)
	undo = func() {
		for file, b := range before {
			_ = os.WriteFile(file, b, 0o644) // if this fails, the next edit or test does too
		}
	}
	for _, e := range m.Edits {
		file := filepath.Join(t.dir, e.file)
		b, err := os.ReadFile(file)
		if err != nil {
			return undo, err
		}
		if _, ok := before[file]; !ok {
			before[file] = b
		}
		if n := bytes.Count(b, []byte(e.old)); n != 1 {
			return undo, fmt.Errorf("its old text occurs %d times in %s, want once:\n%s", n, e.file, e.old)
		}
		b = bytes.Replace(b, []byte(e.old), []byte(e.new), 1)
		if err := os.WriteFile(file, b, 0o644); err != nil {
			return undo, err
		}
	}
	return undo, nil
}

// goTest trims paths, so that what was compiled for another copy of the tree is not compiled again.
func (t *tree) goTest(ctx context.Context, args []string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-timeout=3m", "-trimpath", "-vet=off"}, args...)...)
	cmd.Dir = t.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// tail returns the last lines of an output.
func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
