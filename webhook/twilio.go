package webhook

import (
	"crypto/sha1" //nolint:gosec // as HMAC, see SHA1
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	twilioHeader = "X-Twilio-Signature"
	twilioDigest = "bodySHA256" // the parameter of the URL that stands for a body that is not a form
)

func twilio(keys [][]byte, publicURL string) (check, error) {
	base, err := parsePublicURL(publicURL)
	if err != nil {
		return nil, err
	}
	sign := mac{hash: sha1.New, keys: keys}
	return func(r *http.Request, body []byte) error {
		line, err := single(r.Header, twilioHeader)
		if err != nil {
			return err
		}
		signature, err := Base64.decode(line, sha1.Size)
		if err != nil {
			return fmt.Errorf("%w: header %s: %w", ErrMalformed, twilioHeader, err)
		}
		parameters, err := twilioParameters(r, body)
		if err != nil {
			return err
		}
		for _, called := range twilioURLs(r, base) {
			if sign.made([][]byte{signature}, []byte(called), parameters) {
				return nil
			}
		}
		return fmt.Errorf("%w: header %s does not fit the URL and the form; is the public URL right?", ErrMismatch, twilioHeader)
	}, nil
}

// twilioParameters returns what is signed after the URL: nothing for a body whose digest is in the signed URL, else the names
// and values of the form, sorted, without delimiters. A body that is neither is not signed at all.
func twilioParameters(r *http.Request, body []byte) ([]byte, error) {
	if digests := r.URL.Query()[twilioDigest]; len(digests) > 0 {
		return nil, checkTwilioDigest(digests, body)
	}
	if len(body) == 0 {
		return nil, nil
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, fmt.Errorf("%w: the body is not a form, and the URL has no %s", ErrMissing, twilioDigest)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("%w: the body is not a whole form", ErrMalformed)
	}
	return joinTwilio(form), nil
}

func checkTwilioDigest(digests []string, body []byte) error {
	if len(digests) > 1 {
		return fmt.Errorf("%w: the URL has %s %d times", ErrMalformed, twilioDigest, len(digests))
	}
	digest, err := Hex.decode(digests[0], sha256.Size)
	if err != nil {
		return fmt.Errorf("%w: %s in the URL: %w", ErrMalformed, twilioDigest, err)
	}
	if sum := sha256.Sum256(body); subtle.ConstantTimeCompare(sum[:], digest) != 1 {
		return fmt.Errorf("%w: %s in the URL does not fit the body", ErrMismatch, twilioDigest)
	}
	return nil
}

// joinTwilio writes the values of a name that occurs more than once sorted and each once, as Twilio's libraries for Node.js,
// Python and Ruby do; the one for Go takes the first and leaves the others unsigned.
func joinTwilio(form url.Values) []byte {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(form)) {
		values := slices.Clone(form[name])
		slices.Sort(values)
		for _, value := range slices.Compact(values) {
			b = append(append(b, name...), value...)
		}
	}
	return b
}

// twilioURLs returns the URLs that Twilio may have signed. Its senders do not agree on whether the port belongs to it, so
// its libraries, and this, try both.
func twilioURLs(r *http.Request, base *url.URL) []string {
	if base == nil {
		base = &url.URL{Scheme: "http", Host: r.Host}
		if r.TLS != nil {
			base.Scheme = "https"
		}
	}
	target := r.RequestURI // as it was received; a router may have changed r.URL
	if !strings.HasPrefix(target, "/") {
		target = r.URL.RequestURI()
	}
	prefix, path := base.Scheme+"://", strings.TrimSuffix(base.EscapedPath(), "/")+target
	port := base.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[base.Scheme]
	}
	host := strings.TrimSuffix(base.Host, ":"+base.Port())
	return []string{prefix + host + path, prefix + host + ":" + port + path}
}

// parsePublicURL returns nil for the empty string.
func parsePublicURL(s string) (*url.URL, error) {
	if s == "" {
		return nil, nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("the public URL is not a URL")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, errors.New("the public URL needs a scheme and a host, as in https://hooks.example.com")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the public URL is scheme, host and path only: no user, query or fragment")
	}
	return u, nil
}
