package main

import (
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
