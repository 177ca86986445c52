package redisstore

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]target{
		"redis://localhost":                       {kind: single, addresses: []string{"localhost:6379"}},
		"redis://:7000/2":                         {kind: single, addresses: []string{"127.0.0.1:7000"}, db: 2},
		"redis://[::1]:7000":                      {kind: single, addresses: []string{"[::1]:7000"}},
		"redis://me:p%40ss:w%2Ford@h:1/0":         {kind: single, addresses: []string{"h:1"}, user: "me", password: "p@ss:w/ord"},
		"redis://:secret@h":                       {kind: single, addresses: []string{"h:6379"}, password: "secret"},
		"redis+sentinel://a,b:2,c/main":           {kind: sentinel, addresses: []string{"a:26379", "b:2", "c:26379"}, master: "main"},
		"redis+sentinel://a/main/3":               {kind: sentinel, addresses: []string{"a:26379"}, master: "main", db: 3},
		"redis+cluster://u:p@a:1,b:2/0?wait=1":    {kind: cluster, addresses: []string{"a:1", "b:2"}, user: "u", password: "p"},
		"redis+sentinel://a/m?sentinel_user=x":    {kind: sentinel, addresses: []string{"a:26379"}, master: "m", sentinelUser: "x"},
		"redis+sentinel://a/m?sentinel_password=": {kind: sentinel, addresses: []string{"a:26379"}, master: "m"},
	} {
		got, err := parse(url, &Config{})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		same := slices.Equal(got.addresses, want.addresses)
		got.addresses, want.addresses = nil, nil
		if !same || !equal(got, &want) {
			t.Errorf("%s: got %+v, want %+v", url, *got, want)
		}
	}
	for url, tail := range map[string]kind{
		"rediss://h": single, "rediss+cluster://h": cluster, "rediss+sentinel://h/m": sentinel,
	} {
		if got, err := parse(url, &Config{}); err != nil || got.kind != tail || got.tls == nil || !strings.HasPrefix(got.String(), "rediss") {
			t.Errorf("%s: got %v and error %v, want TLS", url, got, err)
		}
	}
}

func equal(a, b *target) bool {
	return a.kind == b.kind && a.user == b.user && a.password == b.password && a.master == b.master && a.db == b.db &&
		a.sentinelUser == b.sentinelUser && a.sentinelPassword == b.sentinelPassword
}

func TestParseParameters(t *testing.T) {
	t.Parallel()
	cfg := Config{Prefix: "before", Wait: 5}
	url := "redis://h?prefix=other:app&identity=ab&wait=2&wait_timeout=500ms&wait_fsync=true&audit_every=1m"
	if _, err := parse(url, &cfg); err != nil {
		t.Fatal(err)
	}
	want := Config{
		Prefix: "other:app", Identity: "ab", Wait: 2, WaitTimeout: 500 * time.Millisecond, WaitFsync: true, AuditEvery: time.Minute,
	}
	if cfg != want {
		t.Errorf("got %+v, want %+v", cfg, want)
	}
}

func TestParseErrorsKeepSecrets(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"h:1", "http://u:hunter2@h", "redis://u:hunter2@h:port", "redis://u:hunter2@a,b", "redis://u:hunter2@h/x",
		"redis://u:hunter2%zz@h", "redis+cluster://u:hunter2@h/1", "redis+sentinel://u:hunter2@h", "redis://h?password=hunter2",
		"redis://h?wait=hunter2x", "redis://h?wait=-1", "redis://h?prefix={hunter2}", "redis://h?%zz=hunter2", "redis://u:hunter2@h:0",
		"redis+sentinel://h/m?sentinel_password=hunter2&wait=x",
		"redis://u:1/hunter2@h", "redis://u:1?hunter2@h", "redis+sentinel://u:1/hunter2@h/m", "redis+cluster://u:/hunter2@h",
	} {
		_, err := parse(url, &Config{})
		if err == nil || strings.Contains(err.Error(), "hunter2") && !strings.Contains(url, "wait=hunter2") {
			t.Errorf("%s: got error %v, want one without the password", url, err)
		}
	}
	got, err := parse("redis://u:hunter2@h/3", &Config{})
	if err != nil || got.String() != "redis://h:6379/3" {
		t.Errorf("got %s and error %v, want it without the password", got, err)
	}
}
