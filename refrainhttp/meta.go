package refrainhttp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// metaVersion is the first byte of encoded headers. A change of the layout takes the next number, and decoding goes on
// reading the older ones.
const metaVersion = 1

// errMeta says that stored bytes are not headers in a version that this program knows.
var errMeta = errors.New("unreadable stored headers")

// A stored is the headers and trailers of a recorded answer: those of its result, none of its attempt.
type stored struct {
	header  []field
	trailer []field
}

// A field is a header field with its lines in order.
type field struct {
	name  string
	lines []string
}

// lines returns those of a field of the header, none if it has none.
func (s *stored) lines(name string) []string {
	for _, f := range s.header {
		if strings.EqualFold(f.name, name) {
			return f.lines
		}
	}
	return nil
}

// without returns it without the fields of which that is true, in the same memory.
func (s stored) without(is func(name string) bool) stored {
	drop := func(f field) bool { return is(f.name) }
	return stored{header: slices.DeleteFunc(s.header, drop), trailer: slices.DeleteFunc(s.trailer, drop)}
}

// storable appends the fields of an answer's header that are stored. Lines that were there before the handler ran are
// not of its answer; whoever set them will do so again.
func storable(fields []field, c *capture) []field {
	var room [16]string
	connection := c.header["Connection"]
	for _, name := range sortedNames(room[:0], c.header) {
		canonical := http.CanonicalHeaderKey(name)
		lines := c.header[name]
		switch {
		case describesAttempt(canonical), canonical == "Set-Cookie" && !c.cookies:
		case len(connection) > 0 && hasElement(connection, name):
		case c.inherited != nil && slices.Equal(c.inherited[name], lines):
		default:
			fields = append(fields, field{name, lines})
		}
	}
	return fields
}

// append appends the encoding: the version, then twice a count of fields, each a name, a count of lines, and the lines.
func (s *stored) append(b []byte) []byte {
	b = append(b, metaVersion)
	for _, fields := range [...][]field{s.header, s.trailer} {
		b = binary.AppendUvarint(b, uint64(len(fields)))
		for _, f := range fields {
			b = appendLines(appendString(b, f.name), f.lines)
		}
	}
	return b
}

// appendLines appends the lines of a field and their number.
func appendLines(b []byte, lines []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(lines)))
	for _, line := range lines {
		b = appendString(b, line)
	}
	return b
}

// decodeStored decodes what stored.append appended. It uses room for the fields if that is enough.
func decodeStored(room []field, meta []byte) (stored, error) {
	if len(meta) == 0 {
		return stored{}, fmt.Errorf("%w: there are none", errMeta)
	}
	if meta[0] != metaVersion {
		return stored{}, fmt.Errorf("%w: version %d is newer than this program", errMeta, meta[0])
	}
	d := decoder{rest: string(meta[1:])}
	fields := d.fields(room)
	header := len(fields)
	fields = d.fields(fields)
	if d.failed || d.rest != "" {
		return stored{}, fmt.Errorf("%w: they are damaged", errMeta)
	}
	return stored{header: fields[:header:header], trailer: fields[header:]}, nil
}

// A decoder reads parts of a string, which share its memory.
type decoder struct {
	rest   string
	lines  []string // of all fields, to allocate seldom
	failed bool
}

func (d *decoder) fields(fields []field) []field {
	n := d.count()
	if d.lines == nil {
		d.lines = make([]string, 0, min(n, 64)+1)
	}
	for range n {
		name := d.string()
		lines := d.count()
		start := len(d.lines)
		for range lines {
			d.lines = append(d.lines, d.string())
		}
		if d.failed {
			return fields
		}
		fields = append(fields, field{name, d.lines[start:len(d.lines):len(d.lines)]})
	}
	return fields
}

// count reads a number of things that follow, each at least one byte long.
func (d *decoder) count() int {
	var n, shift uint64
	for i := 0; i < len(d.rest) && i < binary.MaxVarintLen32; i++ {
		c := d.rest[i]
		n |= uint64(c&0x7f) << shift
		shift += 7
		if c < 0x80 {
			d.rest = d.rest[i+1:]
			if n > uint64(len(d.rest)) {
				break
			}
			return int(n)
		}
	}
	d.failed, d.rest = true, ""
	return 0
}

func (d *decoder) string() string {
	n := d.count()
	if d.failed {
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}
