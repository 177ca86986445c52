package clients

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// A node is a process of Node.js that makes calls with stripe-node.
type node struct {
	mu      sync.Mutex
	calls   *json.Encoder
	number  int
	waiting map[int]chan result
}

func startNode(t *testing.T, url string) func(context.Context, call) (result, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: stripe-node is not tested", program)
		}
	}
	dir, err := library()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "stripe.mjs", url)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := &node{calls: json.NewEncoder(in), waiting: map[int]chan result{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		n.deliver(bufio.NewScanner(out))
	}()
	t.Cleanup(func() {
		_ = in.Close() // it ends when there is nothing to read
		<-read
		_ = cmd.Wait()
	})
	return n.call
}

// library installs stripe-node as package-lock.json has it, once, and returns the folder, in which the program is too.
var library = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "node")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	for _, name := range []string{"package.json", "package-lock.json", "stripe.mjs"} {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return "", err
		}
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("installing stripe-node: %w\n%s", err, out)
	}
	return dir, nil
})

func (n *node) call(ctx context.Context, c call) (result, error) {
	answer := make(chan result, 1)
	n.mu.Lock()
	n.number++
	n.waiting[n.number] = answer
	err := n.calls.Encode(map[string]any{"number": n.number, "call": c})
	n.mu.Unlock()
	if err != nil {
		return result{}, fmt.Errorf("asking node: %w", err)
	}
	select {
	case r := <-answer:
		return r, nil
	case <-ctx.Done():
		return result{}, context.Cause(ctx)
	}
}

// deliver hands out what the process writes, until its end.
func (n *node) deliver(lines *bufio.Scanner) {
	for lines.Scan() {
		var line struct {
			Number int
			Result result
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue // not one of ours
		}
		n.mu.Lock()
		n.waiting[line.Number] <- line.Result
		n.mu.Unlock()
	}
}
