package jwt

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGoodConfigs(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{
		"jwks.json", "/etc/refrain/jwks.json", "https://issuer.example/jwks", "https://issuer.example:8443/jwks?p=b2c",
		"http://localhost:8080/jwks", "http://127.0.0.1/jwks", "http://[::1]:80/jwks",
	} {
		if err := trust(keys).Validate(); err != nil {
			t.Errorf("%s: %v", keys, err)
		}
	}
}

func TestBadConfigsSayWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Issuers = nil }, "issuers: is empty; name at least one issuer"},
		{func(c *Config) { c.Leeway = -time.Second }, "leeway: -1s is out of range; it must be from 0s to 5m0s"},
		{func(c *Config) { c.Leeway = time.Hour }, "leeway: 1h0m0s is out of range"},
		{func(c *Config) { c.Issuers = append(c.Issuers, c.Issuers[0]) }, `issuers[1].name: "https://issuer.example" is listed twice`},
		{func(c *Config) { c.Issuers[0].Name = "" }, `issuers[0].name: "" cannot be an issuer`},
		{func(c *Config) { c.Issuers[0].Name = "\xff" }, `issuers[0].name: "\xff" cannot be an issuer`},
		{func(c *Config) { c.Issuers[0].Keys = "" }, "issuers[0].keys: is empty; write the URL or the file"},
		{func(c *Config) { c.Issuers[0].Keys = "https://" }, "issuers[0].keys: is not a URL"},
		{func(c *Config) { c.Issuers[0].Keys = "https://a b/" }, "issuers[0].keys: is not a URL"},
		{func(c *Config) { c.Issuers[0].Keys = "ftp://issuer.example/" }, `issuers[0].keys: scheme "ftp" is not known`},
		{func(c *Config) { c.Issuers[0].Keys = "http://issuer.example/k" }, "write https://issuer.example"},
		{func(c *Config) { c.Issuers[0].Keys = "http://127.0.0.1.evil.example/k" }, "http lets anyone on the way put in keys"},
		{func(c *Config) { c.Issuers[0].Keys = "https://a:sesame@issuer.example/" }, "issuers[0].keys: has a password in it"},
		{func(c *Config) { c.Issuers[0].Audiences = nil }, "issuers[0].audiences: is empty: tokens for any other API"},
		{func(c *Config) { c.Issuers[0].Audiences = []string{"a", ""} }, `issuers[0].audiences[1]: "" cannot be an audience`},
		{func(c *Config) { c.Issuers[0].AnyAudience = "because" }, "issuers[0].any_audience: contradicts audiences"},
		{func(c *Config) { c.Issuers[0].AnyAudience = " " }, "issuers[0].any_audience: gives no reason"},
		{func(c *Config) { c.Issuers[0].Algorithms = []string{"ES256", "none"} }, "issuers[0].algorithms[1]: none means"},
		{func(c *Config) { c.Issuers[0].Algorithms = []string{"None"} }, "issuers[0].algorithms[0]: none means"},
		{func(c *Config) { c.Issuers[0].Algorithms = []string{"HS256"} }, "HS256 needs a secret, and a key set is public"},
		{func(c *Config) { c.Issuers[0].Algorithms = []string{"RS1"} }, `"RS1" is not known; supported: RS256`},
	} {
		cfg := trust("jwks.json")
		cfg.Issuers = slices.Clone(cfg.Issuers)
		c.change(&cfg)
		err := cfg.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("got %v, want %s", err, c.want)
		}
		if _, ok := errors.AsType[*FieldError](err); !ok {
			t.Errorf("%v names no field", err)
		}
		if v, opened := Open(t.Context(), cfg, silent); opened == nil {
			v.Close()
			t.Errorf("opened in spite of %s", c.want)
		}
	}
}

func TestEverythingThatIsWrongIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	err := Config{Leeway: -1, Issuers: []Issuer{{}, {Name: "b", Keys: "http://b.example", Algorithms: []string{"none"}}}}.Validate()
	if n := strings.Count(err.Error(), "\n") + 1; n != 7 {
		t.Errorf("got %d lines, want 7:\n%v", n, err)
	}
}
