package refrainhttp

import (
	"net/http"
	"strings"
	"testing"
)

// The example digests are those of RFC 9530, appendix B.1 and D.
func TestDigests(t *testing.T) {
	t.Parallel()
	const body = `{"hello": "world"}` + "\n"
	const right = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
	const wrong = "sha-256=:d435Qo+nKZ+gLcUHn7GQtQ72hiBVAgqoLsZnZPiTGPk=:"
	for _, tt := range []struct {
		mode   DigestMode
		lines  []string
		refuse string // what the error must name; empty for none
	}{
		{DigestIgnore, []string{wrong}, ""},
		{DigestIgnore, nil, ""},
		{DigestVerify, nil, ""},
		{DigestVerify, []string{right}, ""},
		{DigestVerify, []string{wrong}, "sha-256"},
		{DigestVerify, []string{"md5=:AAAA:"}, ""}, // not an algorithm to rely on: it says nothing
		{DigestVerify, []string{"md5=:AAAA:", right}, ""},
		{DigestVerify, []string{right, wrong}, "sha-256"},
		{DigestVerify, []string{right + ", sha-512=:AAAA:"}, "sha-512"},
		{DigestVerify, []string{"sha-256=RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="}, "byte sequence"},
		{DigestVerify, []string{"sha-256=:%%%:"}, "byte sequence"},
		{DigestRequire, nil, "RFC 9530"},
		{DigestRequire, []string{"md5=:AAAA:"}, "RFC 9530"},
		{DigestRequire, []string{""}, "RFC 9530"},
		{DigestRequire, []string{right}, ""},
	} {
		err := checkDigest(tt.mode, http.Header{headerDigest: tt.lines}, []byte(body))
		if (err != nil) != (tt.refuse != "") || err != nil && !strings.Contains(err.Error(), tt.refuse) {
			t.Errorf("%s %q: %v, want an error with %q", tt.mode, tt.lines, err, tt.refuse)
		}
	}
}
