package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\[([^\]]+)\]\(([^)#]+)(#[^)]*)?\)`)

// Every link of the documents to a file leads somewhere, and one that names a test leads to that test.
func TestDocumentsLinkToWhatIsThere(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	pages, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md", "bench/*.md", "examples/*/*.md"} {
		more, _ := filepath.Glob(filepath.Join(root, pattern))
		pages = append(pages, more...)
	}
	links := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			name, target := m[1], m[2]
			if strings.Contains(target, ":") {
				continue // elsewhere
			}
			links++
			file := filepath.Join(filepath.Dir(page), target)
			content, err := os.ReadFile(file)
			info, statErr := os.Stat(file)
			switch {
			case statErr != nil:
				t.Errorf("%s links to %s, which is not there", page, target)
			case info.IsDir():
			case err != nil:
				t.Error(err)
			case strings.HasPrefix(name, "Test") && !strings.Contains(string(content), "func "+name+"("):
				t.Errorf("%s says that %s is in %s; it is not", page, name, target)
			}
		}
	}
	if links < 40 {
		t.Errorf("only %d links were found", links)
	}
}
