package sqlitestore

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
)

// child names the file in the environment of a test that is the other process.
const child = "SQLITESTORE_TEST_FILE"

// A process is this test, once more, on the same file.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startChild(t *testing.T, file string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")}
	p.cmd.Env = append(os.Environ(), child+"="+file)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
	p.out = bufio.NewScanner(out)
	if !p.out.Scan() || p.out.Text() != "open" {
		t.Fatalf("the other process: got %q, %v", p.out.Text(), p.out.Err())
	}
	return p
}

// beChild opens the store, says so, and waits until the parent wants it to begin.
func beChild(t *testing.T, file string) *Store {
	t.Helper()
	s := openStore(t, file, Config{})
	fmt.Println("open")
	bufio.NewReader(os.Stdin).ReadString('\n')
	return s
}

// TestTwoProcesses has two processes claim the same operations: each runs once, and all hear the same of it.
func TestTwoProcesses(t *testing.T) {
	if file := os.Getenv(child); file != "" {
		contend(t, beChild(t, file), os.Stdout)
		return
	}
	t.Parallel()
	file := newFile(t)
	other := startChild(t, file)
	s := openStore(t, file, Config{})
	defer s.Close()
	if _, err := other.in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	var own strings.Builder
	contend(t, s, &own)
	for other.out.Scan() && strings.Contains(other.out.Text(), "operation") {
		fmt.Fprintln(&own, other.out.Text())
	}
	heard, ran, fences := make(map[string]string), make(map[string]int), make(map[string]bool)
	for line := range strings.Lines(own.String()) {
		f := strings.Fields(line) // operation N, ran or heard, fence of its run
		if f[2] == "ran" {
			ran[f[1]]++
			if fences[f[3]] {
				t.Errorf("fence %s was handed out twice", f[3])
			}
			fences[f[3]] = true
		}
		if before, ok := heard[f[1]]; ok && before != f[3] {
			t.Errorf("operation %s was done by the run with fence %s, and by that with fence %s", f[1], before, f[3])
		}
		heard[f[1]] = f[3]
	}
	if lines := strings.Count(own.String(), "\n"); lines != 2*contenders*contended {
		t.Errorf("got %d answers, want %d", lines, 2*contenders*contended)
	}
	for n, times := range ran {
		if times != 1 {
			t.Errorf("operation %s ran %d times", n, times)
		}
	}
	if len(ran) != contended {
		t.Errorf("%d operations ran, want %d", len(ran), contended)
	}
}

const (
	contenders = 4 // in each process
	contended  = 150
)

// contend claims one operation after the other, and writes what became of each.
func contend(t *testing.T, s *Store, w io.Writer) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range contenders {
		all.Go(func() {
			for n := range contended {
				text, err := execute(s, refrain.ID{1, byte(n >> 8), byte(n)})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				fmt.Fprintf(w, "operation %d %s\n", n, text)
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

// execute runs an operation, or waits for whoever does. The outcome is the fence of the run.
func execute(s *Store, id refrain.ID) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		c := refrain.Claim{ID: id, Token: refrain.NewToken(), Lease: time.Hour}
		d, err := s.Claim(ctx, c)
		switch {
		case err != nil:
			return "", err
		case d.Verdict == refrain.Replay:
			return "heard " + string(d.Record.Outcome.Body), nil
		case d.Verdict == refrain.Run:
			e := finished(id, c.Token)
			e.Outcome.Body = fmt.Append(nil, d.Record.Fence)
			_, err := s.Settle(ctx, e)
			return "ran " + string(e.Outcome.Body), err
		}
		<-time.After(time.Millisecond)
	}
}

// TestKilledProcess kills a process, again and again, and finds everything that it had acknowledged.
func TestKilledProcess(t *testing.T) {
	if file := os.Getenv(child); file != "" {
		s := beChild(t, file)
		for range 8 {
			go acknowledge(s)
		}
		select {}
	}
	t.Parallel()
	file := newFile(t)
	total := 0
	for round := range 10 {
		p := startChild(t, file)
		if _, err := p.in.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for p.out.Scan() {
			lines = append(lines, p.out.Text())
			if len(lines) == 20+7*round {
				p.cmd.Process.Kill()
			}
		}
		p.cmd.Wait()
		wantAcknowledged(t, file, lines)
		total += len(lines)
	}
	t.Logf("%d acknowledged transitions were there after 10 kills", total)
}

// acknowledge claims and finishes operations, and prints what was acknowledged.
func acknowledge(s *Store) {
	for {
		token := refrain.NewToken()
		var id refrain.ID
		copy(id[:], token[:])
		d, err := s.Claim(context.Background(), refrain.Claim{ID: id, Token: token, Lease: time.Hour})
		if err != nil || d.Verdict != refrain.Run {
			os.Exit(1)
		}
		os.Stdout.WriteString("claimed " + hex.EncodeToString(token[:]) + "\n")
		if _, err = s.Settle(context.Background(), finished(id, token)); err != nil {
			os.Exit(1)
		}
		os.Stdout.WriteString("finished " + hex.EncodeToString(token[:]) + "\n")
	}
}

func wantAcknowledged(t *testing.T, file string, lines []string) {
	t.Helper()
	s := openStore(t, file, Config{})
	defer s.Close()
	for _, line := range lines {
		what, token, _ := strings.Cut(line, " ")
		b, err := hex.DecodeString(token)
		if err != nil || len(b) != len(refrain.Token{}) {
			continue // the kill cut it short
		}
		var id refrain.ID
		copy(id[:], b)
		r, err := s.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if r.Token != refrain.Token(b) || what == "finished" && (r.State != refrain.StateDone || string(r.Outcome.Body) != "paid") {
			t.Errorf("%s, and after the kill it is %v", line, r.State)
		}
	}
}

// TestProcessesWaitForEachOther has another process hold the lock: calls end with their callers, and go on when it is killed.
func TestProcessesWaitForEachOther(t *testing.T) {
	if file := os.Getenv(child); file != "" {
		beChild(t, file)
		tx := begin(t, openDB(t, file+dsn))
		fmt.Println("locked", tx != nil)
		select {}
	}
	t.Parallel()
	file := newFile(t)
	p := startChild(t, file)
	s := openStore(t, file, Config{})
	defer s.Close()
	p.in.Write([]byte("\n"))
	if !p.out.Scan() || p.out.Text() != "locked true" {
		t.Fatalf("the other process: got %q", p.out.Text())
	}
	c := refrain.Claim{ID: refrain.ID{1}, Token: refrain.NewToken(), Lease: time.Hour}
	if _, err := s.Claim(brief(t), c); !errors.Is(err, refrain.ErrUnavailable) {
		t.Errorf("while another process has the lock: got error %v, want %v", err, refrain.ErrUnavailable)
	}
	if _, err := Open(brief(t), file, Config{}); !errors.Is(err, refrain.ErrUnavailable) {
		t.Errorf("Open while another process has the lock: got error %v, want %v", err, refrain.ErrUnavailable)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	wantVerdict(t, s, c, refrain.Run)
}
