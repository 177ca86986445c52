package webhook

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

const stripeHeader = "Stripe-Signature"

func stripe(keys [][]byte, now clock) check {
	sign := mac{hash: sha256.New, keys: keys}
	return func(r *http.Request, body []byte) error {
		line, err := single(r.Header, stripeHeader)
		if err != nil {
			return err
		}
		signed, err := parseStripe(line)
		if err != nil {
			return fmt.Errorf("%w: header %s %w", ErrMalformed, stripeHeader, err)
		}
		if err := now.near(signed.timestamp, "t in header "+stripeHeader); err != nil {
			return err
		}
		if !sign.made(signed.v1, []byte(signed.timestamp+"."), body) {
			return fmt.Errorf("%w: header %s does not fit its timestamp and the body", ErrMismatch, stripeHeader)
		}
		return nil
	}
}

// stripeSignatures are what a header such as "t=1492774577,v1=…,v1=…,v0=…" says.
type stripeSignatures struct {
	timestamp string
	v1        [][]byte
}

// parseStripe passes over the schemes that it does not know; v0 is a fake that Stripe sends with test events. While a secret
// is rotated there is a v1 for each, and one that is broken beside a whole one is passed over, as Stripe's libraries do.
func parseStripe(line string) (stripeSignatures, error) {
	var s stripeSignatures
	for item := range strings.SplitSeq(line, ",") {
		name, value, ok := strings.Cut(item, "=")
		switch {
		case !ok:
			return s, errors.New("is not a list of name=value")
		case name == "t" && s.timestamp != "":
			return s, errors.New("has more than one timestamp t")
		case name == "t":
			s.timestamp = value
		case name == "v1":
			if sum, err := Hex.decode(value, sha256.Size); err == nil {
				s.v1 = append(s.v1, sum)
			}
		}
	}
	switch {
	case s.timestamp == "":
		return s, errors.New("has no timestamp t")
	case len(s.v1) == 0:
		return s, errors.New("holds no v1 signature of the right form")
	}
	return s, nil
}
