package refrainhttp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"
)

// errCut says that a multipart body has no last boundary. The end of it alone would not: multipart.Reader reports that as io.EOF
// in a part's header too, whose fields would not count then, and where there is no boundary at all.
var errCut = errors.New("the body ends before its last boundary")

// appendMultipart appends the parts of a multipart body, each with its header and bytes: the boundary between them, which
// clients make anew for each attempt, does not count. It reports false when the body is not well-formed.
func appendMultipart(b []byte, contentType string, body []byte, fields *selector) ([]byte, bool) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return b, false
	}
	// A body may end at its last boundary, without a line end. One that ends before it ends in an error.
	whole := io.MultiReader(bytes.NewReader(body), strings.NewReader("\r\n"), failing{errCut})
	r := multipart.NewReader(whole, params["boundary"])
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
