package refrainhttp_test

import (
	"crypto/sha256"
	"fmt"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// The fingerprint of a job whose payload is JSON, for refrain.Do.
func ExampleCanonicalJSON() {
	var canonical refrainhttp.CanonicalJSON
	fingerprint := func(payload string) refrain.Fingerprint {
		form, ok := canonical.Append(nil, []byte(payload))
		if !ok {
			form = []byte(payload) // it has no single meaning: only the same bytes are the same
		}
		return sha256.Sum256(form)
	}
	first := fingerprint(`{"invoice": 17, "amount": 12.50}`)
	fmt.Println(first == fingerprint(`{"amount":1.25e1,"invoice":17.0}`))
	fmt.Println(first == fingerprint(`{"amount":12.51,"invoice":17}`))
	// Output:
	// true
	// false
}
