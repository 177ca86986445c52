package sidecar

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// script returns an executable shell script.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "proxy")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStartSaysWhatTheProxySaidLast(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, want string }{
		"it ends at once":    {"echo no luck >&2; exit 1", "no luck"},
		"it never is ready":  {"echo listen=127.0.0.1:1 admin=127.0.0.1:1; exit 1", "ended before it was ready"},
		"no executable file": {"", "starting"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Executable: filepath.Join(t.TempDir(), "none"), Dir: t.TempDir()}
			if c.script != "" {
				cfg.Executable = script(t, c.script)
			}
			if _, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestStartLeavesNoProcessWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Start(ctx, Config{Executable: script(t, "exec sleep 60"), Dir: dir})
	if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("got error %v, want that of the context", err)
	}
}

func TestProxyGetsTheArgumentsAndNoStraySettings(t *testing.T) {
	t.Setenv("REFRAIN_LISTEN", "127.0.0.1:9")
	dir := t.TempDir()
	seen := filepath.Join(dir, "seen")
	_, err := Start(t.Context(), Config{
		Executable: script(t, `echo "$@" > `+seen+`; env >> `+seen), Upstream: "http://127.0.0.1:2", Dir: dir, File: "defaults: {}\n",
	})
	if err == nil {
		t.Fatal("got no error of a proxy that ends at once")
	}
	got, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	want := "proxy --upstream http://127.0.0.1:2 --listen 127.0.0.1:0 --admin 127.0.0.1:0 " +
		"--store pebble:" + dir + "/data --config " + dir + "/refrain.yaml\n"
	if !strings.HasPrefix(string(got), want) || strings.Contains(string(got), "REFRAIN_") {
		t.Errorf("got %s\nwant %s and no REFRAIN_ variable", got, want)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "refrain.yaml")); string(text) != "defaults: {}\n" {
		t.Errorf("got file %q", text)
	}
}
