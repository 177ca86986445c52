package refrainhttp

import (
	"encoding/json"

	"github.com/refrain-dev/refrain"
)

// resourceID returns the ID of what an answer says was created: its id, or that inside its only member, "" if it has none.
func resourceID(o *refrain.Outcome) string {
	if o == nil {
		return ""
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
