package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// report returns the results with what is needed to read them.
func report(ctx context.Context, dir string, results []result) string {
	var b strings.Builder
	b.WriteString("# Results of `make bench`\n\n")
	b.WriteString("Everything runs on one machine, on loopback, in one run: load, proxy, upstream and peer share its\n" +
		"cores. A ratio is the median of rounds in which both sides worked in turns; the spread is its smallest\n" +
		"and largest. Absolute numbers say little about other machines.\n\n")
	b.WriteString(table(results))
	fmt.Fprintf(&b, "\n%d connections; %d cores (%s), %s, %s; data on %s; %s.\n", connections, runtime.NumCPU(), cpu(),
		runtime.Version(), runtime.GOOS, fileSystem(ctx, dir), time.Now().UTC().Format("2006-01-02"))
	return b.String()
}

func cpu() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range bytes.Lines(b) {
		if name, value, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// fileSystem names what the data lies on: on tmpfs a sync costs nothing and proves nothing.
func fileSystem(ctx context.Context, dir string) string {
	out, err := exec.CommandContext(ctx, "stat", "-f", "-c", "%T", dir).Output()
	if err != nil {
		return "an unknown file system"
	}
	return strings.TrimSpace(string(out))
}
