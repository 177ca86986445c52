package refrainhttp

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A keySource is a place in a request that may hold the key.
type keySource struct {
	scheme  string
	name    string      // what to call it in an error
	arg     string      // of a query or form
	headers []string    // the fields of a header
	pointer *pointer    // of a body
	parts   []keySource // of a tuple
}

// The schemes of key sources.
const (
	fromHeader = "header"
	fromQuery  = "query"
	fromForm   = "form"
	fromBody   = "body"
	fromTuple  = "tuple"
)

func newKeySource(text string) (s keySource, err error) {
	scheme, arg, _ := strings.Cut(text, ":")
	s = keySource{scheme: scheme, name: text, arg: arg}
	switch scheme {
	case fromHeader, fromSequence:
		s.headers, err = canonicalNames([]string{arg})
		if err == nil {
			s.name = s.headers[0]
		}
	case fromTuple:
		s.parts, err = newTuple(strings.Split(arg, ","))
	case fromBody:
		s.pointer, err = newPointer(arg)
		if arg == "" {
			err = errors.New("needs a JSON pointer, as in body:/id")
		}
	case fromQuery, fromForm:
		if arg == "" {
			err = errors.New("needs a name, as in " + scheme + ":key")
		}
	default:
		err = errors.New("is none of header:NAME, query:NAME, form:NAME, body:/POINTER, tuple:NAME,NAME, sequence:NAME")
	}
	if err != nil {
		return s, fmt.Errorf("%q: %w", text, err)
	}
	return s, nil
}

func newTuple(names []string) ([]keySource, error) {
	if len(names) < 2 {
		return nil, errors.New("needs two names or more, as in tuple:ce-source,ce-id")
	}
	parts := make([]keySource, len(names))
	for i, name := range names {
		scheme := fromHeader
		if strings.HasPrefix(name, "/") {
			scheme = fromBody
		}
		var err error
		if parts[i], err = newKeySource(scheme + ":" + name); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// inBody reports whether the key is known only when the body is read.
func (s *keySource) inBody() bool {
	return s.scheme == fromForm || s.scheme == fromBody || slices.ContainsFunc(s.parts, func(p keySource) bool { return p.inBody() })
}

// find returns the text that holds the key, errNoKey when there is none. It is not for tuples and bodies of JSON.
func (s *keySource) find(r *http.Request, body []byte) (string, error) {
	switch s.scheme {
	case fromQuery:
		return oneValue(r.URL.RawQuery, s.arg)
	case fromForm:
		if essence(r.Header["Content-Type"]) != "application/x-www-form-urlencoded" {
			return "", errNoKey
		}
		return oneValue(string(body), s.arg)
	}
	return oneLineOf(r.Header, s.headers[0])
}

func oneLineOf(h http.Header, name string) (string, error) {
	switch lines := h[name]; len(lines) {
	case 0:
		return "", errNoKey
	case 1:
		return lines[0], nil
	default:
		return "", fmt.Errorf("the request has %d of these header lines; send exactly one", len(lines))
	}
}

// join joins the parts of a tuple so that no two give the same key: each is length-prefixed. The key is in the workspace.
func (s *keySource) join(r *http.Request, body []byte, work *workspace) ([]byte, error) {
	b, missing := work.key[:0], ""
	for i := range s.parts {
		p := &s.parts[i]
		was := len(b)
		var err error
		switch b, err = p.appendPart(b, r, body, work); {
		case err == nil && b[was] != 0: // its length
		case err == nil:
			return nil, fmt.Errorf("%s is empty", p.name)
		case errors.Is(err, errNoKey):
			missing = p.name
		default:
			return nil, err
		}
	}
	work.key = b
	switch {
	case len(b) == 0:
		return nil, errNoKey
	case missing != "":
		return nil, fmt.Errorf("the request has no %s", missing)
	case len(b) > maxKeyLength:
		return nil, fmt.Errorf("they have %d characters together; at most %d are allowed", len(b), maxKeyLength)
	}
	return b, nil
}

// appendPart appends a part of a tuple, which is in the header or the body.
func (s *keySource) appendPart(b []byte, r *http.Request, body []byte, work *workspace) ([]byte, error) {
	if s.pointer == nil {
		line, err := oneLineOf(r.Header, s.headers[0])
		if err != nil {
			return b, err
		}
		return appendString(b, strings.Trim(line, " ")), nil
	}
	text, err := s.textIn(body, work)
	if err != nil {
		return b, err
	}
	text = trim(text)
	return append(binary.AppendUvarint(b, uint64(len(text))), text...), nil
}

// trim takes the spaces around a key away, which are seldom there.
func trim(text []byte) []byte {
	if n := len(text); n > 0 && text[0] != ' ' && text[n-1] != ' ' {
		return text
	}
	return bytes.Trim(text, " ")
}

// oneValue returns the only value that url.ParseQuery would return for a name in a query or form.
func oneValue(encoded, name string) (string, error) {
	if strings.Count(encoded, "&") >= maxPairs {
		return "", fmt.Errorf("it has more than %d parameters", maxPairs)
	}
	found, n := "", 0
	for rest, more := encoded, true; more; {
		var pair string
		pair, rest, more = strings.Cut(rest, "&")
		key, value, err := cutPair(pair)
		switch {
		case err != nil:
			return "", err
		case key == name && pair != "":
			found = value
			n++
		}
	}
	switch n {
	case 0:
		return "", errNoKey
	case 1:
		return found, nil
	}
	return "", fmt.Errorf("it is there %d times; send it once", n)
}

// cutPair returns the name and the value of a parameter.
func cutPair(pair string) (key, value string, err error) {
	key, value, _ = strings.Cut(pair, "=")
	if strings.IndexByte(pair, '%') < 0 && strings.IndexByte(pair, '+') < 0 && strings.IndexByte(pair, ';') < 0 {
		return key, value, nil // nearly always
	}
	key, keyErr := url.QueryUnescape(key)
	value, valueErr := url.QueryUnescape(value)
	if keyErr != nil || valueErr != nil || strings.Contains(pair, ";") {
		return "", "", errors.New("it is not well-formed")
	}
	return key, value, nil
}

// maxPairs is how many parameters a query or form may have for the handlers of net/http.
const maxPairs = 10_000

// textIn returns the string or number that a body of JSON has for the key, valid until work is used again.
func (s *keySource) textIn(body []byte, work *workspace) ([]byte, error) {
	doc := work.read(body, s.pointer.tree)
	found, ok := work.json.wanted(s.pointer.node)
	switch {
	case !doc.plain && json.Valid(body) && s.pointer.inSome(body):
		return nil, errors.New("the body has no single meaning, as with a member that is there twice")
	case doc.plain && !ok && s.pointer.inElement(body):
		return nil, errors.New("the body is an array of requests with keys of their own; send each by itself")
	case !doc.plain, !ok, string(found) == "null":
		return nil, errNoKey
	}
	text, ok := scalar(found)
	if !ok {
		return nil, errors.New("it is neither a string nor a number")
	}
	return text, nil
}

// pointers returns those of a source whose key is in a body of JSON.
func (s *keySource) pointers() (all []*pointer) {
	if s.pointer != nil {
		all = append(all, s.pointer)
	}
	for i := range s.parts {
		all = append(all, s.parts[i].pointers()...)
	}
	return all
}
