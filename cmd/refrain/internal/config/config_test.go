package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
	"github.com/refrain-dev/refrain/refrainhttp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

func files(t testing.TB, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files match %s: %v", pattern, err)
	}
	return paths
}

func TestBadFilesSayWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	for _, path := range files(t, "testdata/bad/*.yaml") {
		_, err := Load(path)
		if _, ok := errors.AsType[Problems](err); !ok {
			t.Errorf("%s: got error %v, want Problems", path, err)
			continue
		}
		golden(t, strings.TrimSuffix(path, ".yaml")+".golden", err.Error()+"\n")
	}
}

func TestGoodFiles(t *testing.T) {
	t.Parallel()
	for _, path := range files(t, "testdata/good/*.yaml") {
		c, err := Load(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		golden(t, strings.TrimSuffix(path, ".yaml")+".golden", dump(c))
	}
}

// dump writes every setting and its origin.
func dump(c *Config) string {
	var b strings.Builder
	write := func(all []Setting) {
		for _, s := range all {
			fmt.Fprintf(&b, "  %-22s %-45s %s\n", s.Name, s.Value, s.Origin)
		}
	}
	write(c.Settings())
	for _, r := range c.Routes {
		for _, p := range r.Match {
			fmt.Fprintf(&b, "%s (%s)\n", p.Text, p.Origin)
		}
		write(r.Policy.Settings())
	}
	return b.String()
}

func TestFlagsBeatEnvironmentBeatsFile(t *testing.T) {
	t.Parallel()
	env := Override{Name: "listen", Value: "127.0.0.1:2", Source: "environment REFRAIN_LISTEN"}
	flag := Override{Name: "listen", Value: "127.0.0.1:3", Source: "flag --listen"}
	text := []byte("listen: 127.0.0.1:1\nadmin: 127.0.0.1:4\n")
	for _, tt := range []struct {
		over         []Override
		want, origin string
	}{
		{nil, "127.0.0.1:1", "f.yaml:1:9"},
		{[]Override{env}, "127.0.0.1:2", "environment REFRAIN_LISTEN"},
		{[]Override{env, flag}, "127.0.0.1:3", "flag --listen"},
	} {
		c, err := Parse("f.yaml", text, tt.over...)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Settings()[1]; c.Listen != tt.want || got.Value != tt.want || got.Origin.String() != tt.origin {
			t.Errorf("with %v: got %v from %v, want %s from %s", tt.over, got.Value, got.Origin, tt.want, tt.origin)
		}
	}
}

func TestBadOverridesNameTheirSource(t *testing.T) {
	t.Parallel()
	_, err := Parse("", nil, Override{Name: "store", Value: "redis:user:secret@h", Source: "flag --store"})
	want := "flag --store: has no host; write one such as redis://127.0.0.1/"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestProblemsNeverRepeatPasswords(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"store: redis:user:secret@host", "store: \"redis://user:se%cret@host\"", "store: foo://user:secret@host", "store: pebble://user:secret@host",
		"upstream: http://user:secret@host", "upstream: http://user:secret@ho st", "upstream: foo://user:secret@host",
		"upstream: http://user:secret@host:99999", "upstream: user:secret@host",
	} {
		_, err := Parse("f.yaml", []byte(text))
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got error %v, want one without the password", text, err)
		}
	}
}

func TestMissingFileIsNamed(t *testing.T) {
	t.Parallel()
	_, err := Load("testdata/none.yaml")
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "testdata/none.yaml") {
		t.Errorf("got %v, want that testdata/none.yaml does not exist", err)
	}
}

func TestHugeFilesAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		strings.Repeat("#", maxFile+1): "f.yaml: longer than 64KiB",
		strings.Repeat("[", maxFile):   "f.yaml:1:101: too many brackets within brackets",
	} {
		_, err := Parse("f.yaml", []byte(text))
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func FuzzConfig(f *testing.F) {
	for _, path := range append(files(f, "testdata/bad/*.yaml"), files(f, "testdata/good/*.yaml")...) {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	guard, err := refrain.New(memstore.New(memstore.Config{}), refrain.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("f.yaml", text)
		if err != nil {
			if ps, ok := errors.AsType[Problems](err); !ok || len(ps) == 0 {
				t.Fatalf("got error %v, want Problems", err)
			}
			return
		}
		if len(c.Routes) == 0 {
			t.Fatal("a valid configuration has no routes")
		}
		if _, err := refrainhttp.New(guard, withSources(c)); err != nil {
			t.Fatalf("the middleware refuses what was accepted: %v", err)
		}
		for i := range c.Routes {
			p := &c.Routes[i].Policy
			op := &p.Operation
			if op.Lease <= 0 || op.Timeout <= 0 || op.Retention <= 0 || op.Wait == 0 || op.Tombstone == 0 || op.Wait > op.Timeout {
				t.Fatalf("nonsense was accepted: %+v", op)
			}
		}
	})
}

func TestAddressesThatMeet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b           string
		collide, leads bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true, true},
		{"127.0.0.1:80", "127.0.0.1:81", false, false},
		{"127.0.0.1:0", "127.0.0.1:0", false, true},
		{"127.0.0.1:80", ":80", true, true},
		{"127.0.0.1:80", "[::]:80", true, true},
		{"10.0.0.7:80", "0.0.0.0:80", true, false}, // to another machine, for all that is known
		{"10.0.0.7:80", "127.0.0.1:80", false, false},
		{"localhost:80", "127.0.0.1:80", false, true},
		{"127.0.0.1:80", "127.0.0.2:80", false, false},
	} {
		if got := collide(tt.a, tt.b); got != tt.collide {
			t.Errorf("%s and %s: got collide %t, want %t", tt.a, tt.b, got, tt.collide)
		}
		if got := leads(tt.a, tt.b); got != tt.leads {
			t.Errorf("%s and %s: got leads %t, want %t", tt.a, tt.b, got, tt.leads)
		}
	}
}
