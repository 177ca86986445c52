package refrainhttp

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
)

// appendMultipart appends the parts of a multipart body, each with its name, file name, media type and bytes: the boundary
// between them, which clients make anew for each attempt, does not count. It reports false when the body is not well-formed.
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
		if !fields.selects(part.FormName()) {
			continue
		}
		b = appendString(b, part.FormName())
		b = appendString(b, part.FileName())
		b = appendString(b, part.Header.Get("Content-Type"))
		b = appendString(b, part.Header.Get("Content-Transfer-Encoding"))
		b = appendString(b, string(content))
	}
}
