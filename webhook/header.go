package webhook

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// maxHeader bounds what one header makes the receiver do: an ed25519 signature costs a verification for each key.
const maxHeader = 4096

// single returns the value of a header that must occur exactly once: of two lines, a proxy or the handler might believe the
// other one. Senders write printable ASCII.
func single(h http.Header, name string) (string, error) {
	lines := h.Values(name)
	switch {
	case len(lines) == 0:
		return "", fmt.Errorf("%w: no header %s", ErrMissing, name)
	case len(lines) > 1:
		return "", fmt.Errorf("%w: header %s occurs %d times", ErrMalformed, name, len(lines))
	case lines[0] == "":
		return "", fmt.Errorf("%w: header %s is empty", ErrMissing, name)
	case len(lines[0]) > maxHeader:
		return "", fmt.Errorf("%w: header %s has more than %d bytes", ErrMalformed, name, maxHeader)
	case !printable(lines[0]):
		return "", fmt.Errorf("%w: header %s is not printable ASCII", ErrMalformed, name)
	}
	return lines[0], nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// A clock judges the timestamps of signatures.
type clock struct {
	now       func() time.Time
	tolerance time.Duration
}

// near returns an error unless s, which name carries, is a Unix time in seconds that lies within the tolerance.
func (c clock) near(s, name string) error {
	seconds, err := seconds(s)
	if err != nil {
		return fmt.Errorf("%w: %s is not a Unix time in seconds", ErrMalformed, name)
	}
	switch age := c.now().Sub(time.Unix(seconds, 0)); {
	case age > c.tolerance:
		return fmt.Errorf("%w: %s is %s old, more than %s", ErrStale, name, age.Round(time.Second), c.tolerance)
	case age < -c.tolerance:
		return fmt.Errorf("%w: %s is %s ahead, more than %s; is the clock here right?",
			ErrStale, name, (-age).Round(time.Second), c.tolerance)
	}
	return nil
}

// seconds parses decimal digits only: a sign, white space or a fraction is no timestamp that a sender writes.
func seconds(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err
}
