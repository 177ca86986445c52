package config

import (
	"reflect"
	"testing"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// A file that names a dialect and says no more has all of it: there is no part of one that a file could not say.
func TestAFilesDialectIsTheDialect(t *testing.T) {
	t.Parallel()
	for _, d := range refrainhttp.Dialects() {
		c, err := Parse("refrain.yaml", []byte("defaults: { dialect: "+d.Name+" }"))
		if err != nil {
			t.Errorf("%s: %v", d.Name, err)
			continue
		}
		want := explicit(d.Policy)
		for i := range c.Routes {
			if got := c.Routes[i].Policy.Policy; !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got\n%+v\nwant\n%+v", d.Name, got, want)
			}
		}
		if len(c.Routes) == 0 {
			t.Errorf("%s: got no routes", d.Name)
		}
	}
}
