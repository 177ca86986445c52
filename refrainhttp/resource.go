package refrainhttp

import (
	"encoding/json"

	"github.com/refrain-dev/refrain"
)

// resourceID returns the ID of what an answer says was created: its id, which p points to, or that inside its only member, ""
// if it has none.
func resourceID(o *refrain.Outcome, p *pointer, work *workspace) string {
	if o == nil {
		return ""
	}
	if work != nil {
		b, _ := p.find(o.Body, work)
		if id, ok := scalarText(b); ok {
			return id
		}
	}
	var doc map[string]json.RawMessage
	if json.Unmarshal(o.Body, &doc) != nil {
		return ""
	}
	if id, ok := scalarText(doc["id"]); ok || len(doc) != 1 {
		return id
	}
	for _, only := range doc {
		var inner struct{ ID json.RawMessage }
		if json.Unmarshal(only, &inner) == nil {
			id, _ := scalarText(inner.ID)
			return id
		}
	}
	return ""
}
