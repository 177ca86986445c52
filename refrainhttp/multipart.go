package refrainhttp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"mime"
	"mime/multipart"
)

// appendMultipart appends the parts of a multipart body, each with its header and bytes: the boundary between them, which
// clients make anew for each attempt, does not count. It reports false when the body is not well-formed.
func appendMultipart(b []byte, contentType string, body []byte, fields *selector) ([]byte, bool) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return b, false
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return b, true
		}
		if err != nil {
			return b, false
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return b, false
		}
		if fields.selects(part.FormName()) {
			b = appendString(appendFields(b, part.Header), string(content))
		}
	}
}

// appendFields appends all fields of a header, in the order of their names, and their number.
func appendFields(b []byte, h map[string][]string) []byte {
	var room [8]string
	names := sortedNames(room[:0], h)
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, name := range names {
		b = appendLines(appendString(b, name), h[name])
	}
	return b
}
