package webhook

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// A Secret is a secret that is shared with a sender. It never shows itself: printed, logged or encoded it is "[redacted]",
// also inside of other values. The zero value is no secret, and New refuses it.
type Secret struct {
	reveal func() string // a closure: fmt and reflection do not look into it, not even in an unexported field
}

const redacted = "[redacted]"

// maxSecret is far above any secret; it bounds what is read from a file that is something else.
const maxSecret = 64 << 10

// NewSecret returns the secret that is text, which is not empty and has no line break in it.
func NewSecret(text string) (Secret, error) {
	switch {
	case text == "":
		return Secret{}, errors.New("it is empty")
	case len(text) > maxSecret:
		return Secret{}, fmt.Errorf("it has more than %d bytes; is it a secret?", maxSecret)
	case strings.ContainsAny(text, "\r\n"):
		return Secret{}, errors.New("it has a line break in it; give each secret its own name or file")
	}
	return Secret{reveal: func() string { return text }}, nil
}

// ParseSecret returns the secret that a reference points to: env:NAME is an environment variable, file:PATH a file, whose
// line break at the end does not count. Both are read now, once. A secret itself is no reference, and the error does not
// repeat it.
func ParseSecret(reference string) (Secret, error) {
	kind, name, _ := strings.Cut(reference, ":")
	var (
		text string
		err  error
	)
	switch {
	case kind == "env" && name != "":
		text, err = fromEnvironment(name)
	case kind == "file" && name != "":
		text, err = fromFile(name)
	default:
		return Secret{}, errors.New("a secret is given as env:NAME or file:PATH, never itself")
	}
	if err != nil {
		return Secret{}, err
	}
	secret, err := NewSecret(text)
	if err != nil {
		return Secret{}, fmt.Errorf("the secret in %s: %w", reference, err)
	}
	return secret, nil
}

func fromEnvironment(name string) (string, error) {
	text, ok := os.LookupEnv(name)
	if !ok {
		return "", fmt.Errorf("the secret in env:%s: the variable is not set", name)
	}
	return text, nil
}

func fromFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading a secret: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+2))
	if err != nil {
		return "", fmt.Errorf("reading a secret: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// Format writes "[redacted]" for every verb; String alone would not stand between %d and the fields.
func (Secret) Format(s fmt.State, _ rune) { io.WriteString(s, redacted) }

// GoString returns "[redacted]".
func (Secret) GoString() string { return redacted }

// MarshalText returns "[redacted]", for JSON, YAML and XML alike.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// reveal returns the bytes of all secrets, of which there must be one.
func reveal(secrets []Secret) ([][]byte, error) {
	if len(secrets) == 0 {
		return nil, errors.New("it needs at least one secret")
	}
	texts := make([][]byte, len(secrets))
	for i, s := range secrets {
		if s.reveal == nil {
			return nil, fmt.Errorf("secret %d of %d is empty", i+1, len(secrets))
		}
		texts[i] = []byte(s.reveal())
	}
	return texts, nil
}
