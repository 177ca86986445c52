package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckWarnsOfAnAdminAddressForAll: what it tells has no authentication.
func TestCheckWarnsOfAnAdminAddressForAll(t *testing.T) {
	t.Parallel()
	for address, warns := range map[string]bool{
		"127.0.0.1:8081": false, "localhost:8081": false, `"[::1]:8081"`: false,
		`":8081"`: true, "0.0.0.0:8081": true, "10.0.0.1:8081": true, "admin.internal:8081": true,
	} {
		file := write(t, "refrain.yaml", "upstream: http://127.0.0.1:3000\nstore: \"memory:\"\nadmin: "+address+"\n")
		got := command("check", "--config", file)
		if got.status != statusGood || warns != strings.Contains(got.stdout, "is for other machines too") {
			t.Errorf("%s: got status %d and\n%s", address, got.status, got.stdout)
		}
	}
}

// TestCheckMakesNoStore: whoever asks about a file does not make it.
func TestCheckMakesNoStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	got := command("check", "--store", "sqlite:"+filepath.Join(dir, "refrain.db"))
	if got.status != statusGood || !strings.Contains(got.stdout, "is made when the store is first opened") {
		t.Errorf("got status %d and\n%s", got.status, got.stdout)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("got %v and error %v, want an empty folder", left, err)
	}
}

// TestCheckReadsTheSecretOfTheStore: a proxy without it would not start.
func TestCheckReadsTheSecretOfTheStore(t *testing.T) {
	t.Parallel()
	secret := write(t, "secret", "0123456789abcdef")
	for reference, want := range map[string]int{"file:" + secret: statusGood, "file:" + secret + ".none": statusFault} {
		store := "sqlite:" + filepath.Join(t.TempDir(), "refrain.db")
		file := write(t, "refrain.yaml", "upstream: http://127.0.0.1:3000\nstore: "+store+"\nsecret: "+reference+"\n")
		got := command("check", "--config", file)
		if got.status != want || strings.Contains(got.stdout, "0123456789abcdef") {
			t.Errorf("%s: got status %d, want %d, and\n%s", reference, got.status, want, got.stdout)
		}
	}
}
