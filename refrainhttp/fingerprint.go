package refrainhttp

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/refrain-dev/refrain"
)

// A fingerprinter digests what a request means.
type fingerprinter struct {
	body    BodyMode
	headers []string
	fields  *selector // of JSON bodies; nil means all

	credentials map[string]bool // fields that count if they are there: of strangers

	method, path, query, media, host bool // what counts besides

	algorithms []algorithm // the newest first, which is the one of new records
}

func newFingerprinter(f Fingerprint) (fingerprinter, error) {
	p := fingerprinter{body: f.Body, algorithms: algorithms()}
	switch f.Body {
	case BodyAuto, BodyRaw, BodyJSON, BodyNone:
	default:
		return p, fmt.Errorf("body: %q is none of auto, raw, json, none", f.Body)
	}
	switch f.Digest {
	case DigestIgnore, DigestVerify, DigestRequire:
	default:
		return p, fmt.Errorf("digest: %q is none of ignore, verify, require", f.Digest)
	}
	for _, part := range f.Of {
		switch part {
		case "method":
			p.method = true
		case "path":
			p.path = true
		case "query":
			p.query = true
		case "media-type":
			p.media = true
		default:
			return p, fmt.Errorf("of: %q is none of method, path, query, media-type", part)
		}
	}
	var err error
	if p.headers, err = canonicalNames(f.Headers); err != nil {
		return p, fmt.Errorf("headers: %w", err)
	}
	if at := slices.Index(p.headers, "Host"); at >= 0 { // which is no field of an http.Header
		p.headers, p.host = slices.Delete(p.headers, at, at+1), true
	}
	p.fields, err = newSelector(f.Include, f.Exclude)
	return p, err
}

// readWith has places in a body of JSON found in the pass that makes its canonical form.
func (p *fingerprinter) readWith(places []*pointer) error {
	for _, at := range places {
		if p.fields == nil {
			p.fields = &selector{included: true}
		}
		if err := at.join(p.fields); err != nil {
			return err
		}
	}
	return nil
}

// What a body was compared as is part of the digest: no canonical form can equal a raw one.
const (
	bodyNone  = 'n'
	bodyRaw   = 'r'
	bodyForm  = 'f'
	bodyParts = 'p'
	bodyJSON  = 'j'
)

// digest1 is the algorithm of version 1.
func (p *fingerprinter) digest1(r *http.Request, body []byte, work *workspace) refrain.Fingerprint {
	b := work.b[:0]
	b = append(b, 1)
	contentType := r.Header["Content-Type"]
	b = appendIf(b, p.method, r.Method)
	b = appendIf(b, p.path, escapedPath(r.URL))
	b = appendIf(b, p.query, r.URL.RawQuery)
	b = appendIf(b, p.media, essence(contentType))
	for _, name := range p.headers {
		b = appendLines(b, r.Header[name])
	}
	if p.host {
		b = appendString(b, strings.ToLower(r.Host))
	}
	if p.credentials != nil {
		b = appendPresent(b, r.Header, p.credentials)
	}
	b = p.appendBody(b, contentType, body, work)
	work.b = b
	return sha256.Sum256(b)
}

// appendIf appends s, or, if it does not count, as much as nothing.
func appendIf(b []byte, counts bool, s string) []byte {
	if !counts {
		s = ""
	}
	return appendString(b, s)
}

// appendPresent appends those of the fields that are there, in the order of their names, and their number.
func appendPresent(b []byte, h http.Header, fields map[string]bool) []byte {
	var room [8]string
	names := room[:0]
	for name := range h {
		if fields[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, name := range names {
		b = appendLines(appendString(b, name), h[name])
	}
	return b
}

// appendBody appends what the body is compared by. It comes last and needs no length.
func (p *fingerprinter) appendBody(b []byte, contentType []string, body []byte, work *workspace) []byte {
	if p.body == BodyNone {
		return append(b, bodyNone)
	}
	start, media := len(b), essence(contentType)
	switch {
	case p.body == BodyJSON || p.body == BodyAuto && isJSON(media):
		if b, ok := work.appendCanonical(append(b, bodyJSON), body, p.fields); ok {
			return b
		}
	case p.body == BodyAuto && media == "application/x-www-form-urlencoded":
		if b, ok := appendCanonicalForm(append(b, bodyForm), body, p.fields); ok {
			return b
		}
	case p.body == BodyAuto && media == "multipart/form-data":
		if b, ok := appendMultipart(append(b, bodyParts), contentType[0], body, p.fields); ok {
			return b
		}
	}
	return append(append(b[:start], bodyRaw), body...)
}

const mediaJSON = "application/json"

// essence returns the media type without its parameters, in lower case.
func essence(contentType []string) string {
	switch {
	case len(contentType) == 0:
		return ""
	case contentType[0] == mediaJSON:
		return mediaJSON // nearly always, and to look for parameters costs something
	}
	media, _, _ := strings.Cut(contentType[0], ";")
	return strings.ToLower(strings.TrimSpace(media))
}

// isJSON reports whether a media type is JSON (RFC 8259, and the suffix of RFC 6839).
func isJSON(media string) bool {
	return media == mediaJSON || strings.HasSuffix(media, "+json")
}
