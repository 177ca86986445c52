package config

import (
	"os"
	"regexp"
	"testing"
)

// What the pages and examples show can be used as it stands.
func TestExamplesOfOtherPagesAreGood(t *testing.T) {
	t.Parallel()
	for _, path := range files(t, "../../../../examples/*/refrain.yaml") {
		if _, err := Load(path); err != nil {
			t.Error(err)
		}
	}
	page, err := os.ReadFile("../../../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) == 0 {
		t.Fatal("docs/webhooks.md has no examples")
	}
	for _, b := range blocks {
		c, err := Parse("webhooks.md", b[1])
		if err != nil {
			t.Errorf("%v\n%s", err, b[1])
		} else if warnings := c.Warnings(); len(warnings) > 0 {
			t.Errorf("%v\n%s", warnings, b[1])
		}
	}
}
