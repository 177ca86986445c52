package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const sample = `One is two.
file: a.go
test: . -run TestOne
--- old
const one = 1
--- new
const one = 2
`

func TestParse(t *testing.T) {
	t.Parallel()
	m, err := parse("one", sample)
	if err != nil {
		t.Fatal(err)
	}
	want := edit{file: "a.go", old: "const one = 1\n", new: "const one = 2\n"}
	if len(m.Edits) != 1 || m.Edits[0] != want {
		t.Errorf("got %+v, want %+v", m.Edits, want)
	}
	if m.Description != "One is two." || strings.Join(m.Test, " ") != ". -run TestOne" {
		t.Errorf("got description %q, test %q", m.Description, m.Test)
	}
}

func TestParseRefusesHalfAMutant(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"",
		"No edit.\nfile: a.go\ntest: .\n",
		"No test.\nfile: a.go\n--- old\na\n--- new\nb\n",
		"No file.\ntest: .\n--- old\na\n--- new\nb\n",
		"No change.\nfile: a.go\ntest: .\n--- old\na\n--- new\na\n",
	} {
		if _, err := parse("x", text); err == nil {
			t.Errorf("parsing %q: got no error", text)
		}
	}
}

// TestPlantedBugsFit plants each bug, but runs no test with it.
func TestPlantedBugsFit(t *testing.T) {
	t.Parallel()
	mutants, err := load(planted)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := newTree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tree.remove()
	for _, m := range mutants {
		undo, err := tree.plant(m)
		undo()
		if err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}

// TestPlantedBugsAreTested looks for the tests that are to catch each bug.
func TestPlantedBugsAreTested(t *testing.T) {
	t.Parallel()
	mutants, err := load(planted)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		at := slices.Index(m.Test, "-run")
		if at < 0 {
			continue // all of the package
		}
		names, _, _ := strings.Cut(m.Test[at+1], "/")
		for name := range strings.SplitSeq(names, "|") {
			if !hasTest(t, filepath.Join("..", "..", m.Test[0]), name) {
				t.Errorf("%s: no test in %s is called like %s", m.Name, m.Test[0], name)
			}
		}
	}
}

// hasTest reports whether a test of the package matches the pattern.
func hasTest(t *testing.T, dir, pattern string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	wanted, function := regexp.MustCompile(pattern), regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range function.FindAllSubmatch(text, -1) {
			if wanted.Match(f[1]) {
				return true
			}
		}
	}
	return false
}

func TestPlantedBugsParse(t *testing.T) {
	t.Parallel()
	mutants, err := load(planted)
	if err != nil {
		t.Fatal(err)
	}
	if len(mutants) < 15 {
		t.Errorf("got %d planted bugs, want at least 15", len(mutants))
	}
}

// TestTry plants three bugs into a module of its own: one that its test sees, one that it does not, and one that does not
// compile.
func TestTry(t *testing.T) {
	t.Parallel()
	tr := &tree{dir: t.TempDir(), sound: make(map[string]error)}
	for name, text := range map[string]string{
		"go.mod":    "module a\n\ngo 1.26.0\n",
		"a.go":      "package a\n\nconst one = 1\n",
		"a_test.go": "package a\n\nimport \"testing\"\n\nfunc TestOne(t *testing.T) {\n\tif one > 2 {\n\t\tt.Error(one)\n\t}\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(tr.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		old, new, test string
		want           verdict
	}{
		{"const one = 1\n", "const one = 3\n", "TestOne", caught},
		{"const one = 1\n", "const one = 2\n", "TestOne", survives},
		{"const one = 1\n", "const one = x\n", "TestOne", broken},
		{"const one = 4\n", "const one = 3\n", "TestOne", broken},
		{"const one = 1\n", "const one = 3\n", "TestTwo", broken},
	} {
		m := mutant{Name: "one", Test: []string{".", "-run", c.test}, Edits: []edit{{"a.go", c.old, c.new}}}
		if got := tr.try(context.Background(), m); got.verdict != c.want {
			t.Errorf("%q: got %s (%s), want %s", c.new, got.verdict, got.detail, c.want)
		}
	}
	b, err := os.ReadFile(filepath.Join(tr.dir, "a.go"))
	if err != nil || string(b) != "package a\n\nconst one = 1\n" {
		t.Errorf("got %q, %v, want the file as it was", b, err)
	}
}
