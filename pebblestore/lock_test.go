package pebblestore

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestOneProcess opens a directory that another process has open, and again when that was killed.
func TestOneProcess(t *testing.T) {
	const dirVar = "PEBBLESTORE_TEST_HOLD"
	if dir := os.Getenv(dirVar); dir != "" { // the other process
		openStore(t, dir, Config{})
		os.Stdout.WriteString("open\n")
		select {}
	}
	dir := t.TempDir()
	other := exec.Command(os.Args[0], "-test.run=^TestOneProcess$")
	other.Env = append(os.Environ(), dirVar+"="+dir)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("the other process: got %q, error %v", line, err)
	}
	wantInUse(t, dir)
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	other.Wait()
	s := openStore(t, dir, Config{})
	wantInUse(t, dir) // by this process, and by another name
	t.Chdir(dir)
	wantInUse(t, ".")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := openStore(t, dir, Config{}).Close(); err != nil {
		t.Error(err)
	}
}

func wantInUse(t *testing.T, dir string) {
	t.Helper()
	s, err := Open(dir, Config{})
	if err == nil {
		s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), dir+": it is in use by another process") {
		t.Errorf("Open: got error %v, want one that says that %s is in use by another process", err, dir)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, Config{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Open of a file: got error %v, want one that names it", err)
	}
}
