package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The session of the README prints literally what the README shows.
func TestReadmeSession(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	api := examplePayments(t)
	p := start(t, "--config", "../../examples/payments/refrain.yaml", "--upstream", api,
		"--store", "pebble:"+filepath.Join(t.TempDir(), "data"))
	const ask = `ask() { curl -s -w '%{http_code} %header{idempotency-status}\n' "$@"; }` + "\n"
	for _, s := range readmeSession(t) {
		command := ask + strings.ReplaceAll(s.command, "127.0.0.1:8080", p.listen)
		out, err := shell(t, command)
		if err != nil || out != s.output {
			t.Errorf("$ %s\ngot\n%s%v\nthe README shows\n%s", s.command, out, err, s.output)
		}
	}
}

// shell runs a command and returns what it prints, without waiting for what it leaves in the background.
func shell(t *testing.T, command string) (string, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "output")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command("bash", "-c", command)
	cmd.Stdout, cmd.Stderr = file, file
	failed := cmd.Run()
	out, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), failed
}

// examplePayments runs the example API and returns its URL.
func examplePayments(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "payments")
	if out, err := exec.Command("go", "build", "-o", bin, "../../examples/payments").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(bin, "-listen", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stderr).ReadString('\n')
	_, url, found := strings.Cut(strings.TrimSpace(line), "payments API on ")
	if !found {
		t.Fatalf("the example said %q, %v", line, err)
	}
	return url
}

// A step is a command of the README's session and what the README says that it prints.
type step struct{ command, output string }

func readmeSession(t *testing.T) []step {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(readme), "<!-- session: TestReadmeSession")
	_, after, opened := strings.Cut(after, "```console\n")
	block, _, closed := strings.Cut(after, "```")
	if !found || !opened || !closed {
		t.Fatal("the README has no session")
	}
	var steps []step
	for line := range strings.Lines(block) {
		if command, found := strings.CutPrefix(line, "$ "); found {
			steps = append(steps, step{command: command})
		} else {
			steps[len(steps)-1].output += line
		}
	}
	return steps
}
