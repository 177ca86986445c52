package config

import (
	"slices"
	"strings"
)

// checkDerive sees to it that a derived key tells requests apart.
func (p *Policy) checkDerive() []contradiction {
	if p.Key.DeriveWindow == 0 {
		return nil
	}
	const field = "key.derive.window"
	switch f := &p.Fingerprint; {
	case p.Key.Required:
		return contradict(field, "key.required is true (%s), so there is nothing to derive; remove one of them", p.origins["key.required"])
	case p.Mode == "refuse":
		return contradict(field, "mode is refuse (%s), which takes no keys; remove one of them", p.origins["mode"])
	case f.Body == "none":
		return contradict(field, "fingerprint.body is none (%s): requests with different bodies would be one operation; "+
			"compare the bodies", p.origins["fingerprint.body"])
	case !slices.Contains(f.Of, "method") || !slices.Contains(f.Of, "path") || !slices.Contains(f.Of, "query"):
		return contradict(field, "fingerprint.of is [%s] (%s): requests that differ in the rest would be one operation; "+
			"it needs method, path and query", strings.Join(f.Of, ", "), p.origins["fingerprint.of"])
	}
	return nil
}
