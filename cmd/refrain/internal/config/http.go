package config

import (
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// header is a kind of names of request headers.
func header() kind[string] { return scalar(parseHeader, strings.Clone) }

func parseHeader(name string) (string, error) {
	if name == "" {
		return "", errors.New("the header's name is missing")
	}
	if i := strings.IndexFunc(name, notTokenChar); i >= 0 {
		return "", fmt.Errorf("%q is not a header's name: %q does not belong in one", name, name[i])
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	switch {
	case refrainhttp.IsOwn(name):
		return "", fmt.Errorf("%s is set by Refrain itself; clients' copies are stripped", name)
	case slices.Contains(framing, name):
		return "", fmt.Errorf("%s says where a request goes or ends, and nothing else can be read from it", name)
	}
	return name, nil
}

// framing are the fields that HTTP itself takes out of a header.
var framing = []string{"Host", "Transfer-Encoding", "Trailer"}

// others are headers that say something else about a request than which operation it is, volatile those that differ between the
// attempts of one operation.
var (
	others = []string{
		"Authorization", "Proxy-Authorization", "Cookie", "Date", "User-Agent", "Accept", "Content-Type", "Content-Length",
		"Content-Encoding", "Connection", "Expect", "Origin", "Referer", "X-Forwarded-For", "Traceparent",
	}
	volatile = []string{
		"Date", "Traceparent", "Tracestate", "X-Request-Id", "Signature", "Signature-Input", "Via", "Connection", "Content-Length",
		"Expect",
	}
)

// compared is a kind of names of request headers that two uses of a key must have in common.
func compared() kind[string] {
	parse := func(name string) (string, error) {
		if strings.EqualFold(name, "Host") {
			return "Host", nil
		}
		return parseSteady(name, "a mismatch")
	}
	return scalar(parse, strings.Clone)
}

// bound is a kind of names of request headers that a key may be bound to.
func bound() kind[string] {
	parse := func(name string) (string, error) { return parseSteady(name, "another operation") }
	return scalar(parse, strings.Clone)
}

// parseSteady is parseHeader for one that all attempts of an operation must have in common; otherwise is what a retry would be.
func parseSteady(name, otherwise string) (string, error) {
	name, err := parseHeader(name)
	if err == nil && slices.Contains(volatile, name) {
		err = fmt.Errorf("%s differs from one attempt to the next, so that every retry would be %s; remove it", name, otherwise)
	}
	return name, err
}

// replayHeader is a kind of names of header fields that a replay can have.
func replayHeader() kind[string] {
	parse := func(name string) (string, error) {
		name, err := parseHeader(name)
		if err == nil {
			err = fault(&refrainhttp.Policy{ReplayHeaders: []string{name}})
		}
		return name, err
	}
	return scalar(parse, strings.Clone)
}

// notTokenChar reports whether r cannot be in a token (RFC 9110, section 5.6.2).
func notTokenChar(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// keySource is a kind of places in a request that may hold the key, such as header:NAME.
func keySource() kind[string] {
	const have = "header:NAME, query:NAME, form:NAME, body:/POINTER, tuple:NAME,NAME, sequence:NAME"
	parse := func(text string) (string, error) {
		scheme, name, named := strings.Cut(text, ":")
		switch {
		case scheme == "header", scheme == "sequence" && named:
			name, err := parseKeyHeader(name)
			return scheme + ":" + name, err
		case scheme == "tuple" && name != "":
			if err := fault(&refrainhttp.Policy{Key: refrainhttp.Key{From: []string{text}}}); err != nil {
				return "", err
			}
			return text, checkTuple(name)
		case slices.Contains([]string{"query", "form", "body"}, scheme) && name != "":
			return text, fault(&refrainhttp.Policy{Key: refrainhttp.Key{From: []string{text}}})
		case !named && strings.IndexFunc(text, notTokenChar) < 0 && text != "":
			return "", fmt.Errorf("%q does not say where to look; did you mean header:%s?", text, text)
		}
		return "", fmt.Errorf("%q is not known; supported: %s", text, have)
	}
	return scalar(parse, strings.Clone)
}

// parseKeyHeader returns the name of a header field that may hold a key, or a part of one.
func parseKeyHeader(name string) (string, error) {
	name, err := parseHeader(name)
	if err == nil && slices.Contains(others, name) {
		err = fmt.Errorf("%s says something else; a key needs a header field of its own, such as Idempotency-Key", name)
	}
	return name, err
}

// checkTuple says what is wrong with the header fields among the parts of a key.
func checkTuple(parts string) error {
	for part := range strings.SplitSeq(parts, ",") {
		if strings.HasPrefix(part, "/") {
			continue
		}
		if _, err := parseKeyHeader(part); err != nil {
			return err
		}
	}
	return nil
}

// line is a kind of header lines.
func line() kind[string] {
	parse := func(text string) (string, error) {
		name, _, found := strings.Cut(text, ":")
		if !found || name == "" || strings.IndexFunc(name, notTokenChar) >= 0 {
			return "", fmt.Errorf("%q is not a header line; write one such as \"Retry-After: 5\"", text)
		}
		return text, nil
	}
	return scalar(parse, strings.Clone)
}

// status is a kind of statuses of an answer: a class such as 4xx, or one such as 409.
func status() kind[string] {
	parse := func(text string) (string, error) {
		if len(text) == 3 && text[0] >= '2' && text[0] <= '5' && strings.EqualFold(text[1:], "xx") {
			return strings.ToLower(text), nil
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return "", fmt.Errorf("%q is not a status; write a class such as 4xx, or one such as 409", text)
		}
		if n < 200 || n > 599 {
			return "", fmt.Errorf("%d is not a status that ends a request; they go from 200 to 599", n)
		}
		return strconv.Itoa(n), nil
	}
	return scalar(parse, strings.Clone)
}

// pointer is a kind of JSON pointers (RFC 6901) to a member of the body.
func pointer() kind[string] { return scalar(parsePointer, strings.Clone) }

func parsePointer(text string) (string, error) {
	if !strings.HasPrefix(text, "/") {
		return "", fmt.Errorf("%q is not a JSON pointer; it must begin with a slash, as in /amount", text)
	}
	rest := strings.NewReplacer("~0", "", "~1", "").Replace(text)
	if strings.Contains(rest, "~") {
		return "", fmt.Errorf("%q is not a JSON pointer; write ~ as ~0, and / inside a name as ~1", text)
	}
	return text, nil
}
