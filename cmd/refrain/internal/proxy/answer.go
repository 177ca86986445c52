package proxy

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"strings"

	"github.com/refrain-dev/refrain/refrainhttp"
)

const (
	copySize = 32 << 10
	// maxUndelimited is how much of a close-delimited answer is read to see whether it is whole.
	maxUndelimited = 1 << 20
)

// copyAnswer copies the final answer. An error tells that the upstream cut it short; begun, that the client's answer has
// begun by then. All but streams are read ahead as far as the buffer goes, so that most failures are found before.
func (p *Proxy) copyAnswer(w http.ResponseWriter, r *http.Request, resp *http.Response) (begun bool, err error) {
	buf := p.buffers.Get().(*[]byte)
	defer p.buffers.Put(buf)
	start, ended, err := readAhead(resp, *buf)
	if err != nil {
		return false, err
	}
	if closeDelimited(resp) && !(ended && isWholeJSON(resp, start)) {
		refrainhttp.MarkIncomplete(r.Context())
	}
	h := w.Header()
	copyFields(h, resp.Header)
	announced := len(resp.Trailer)
	for name := range resp.Trailer {
		h.Add("Trailer", name)
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(start) // the client's absence is the middleware's business
	if !ended {
		if err := copyRest(w, resp, *buf); err != nil {
			return true, err
		}
	}
	copyTrailer(h, resp.Trailer, announced)
	return true, nil
}

// readAhead reads the start of the answer, into buf where that is large enough, and reports whether that is all of it.
func readAhead(resp *http.Response, buf []byte) (start []byte, ended bool, err error) {
	switch {
	case resp.ContentLength == 0:
		return nil, true, nil
	case closeDelimited(resp):
		start, err = io.ReadAll(io.LimitReader(resp.Body, maxUndelimited))
		return start, len(start) < maxUndelimited, err
	case refrainhttp.IsStream(resp.Header):
		return nil, false, nil
	}
	for n := 0; n < len(buf); { // not io.ReadFull, which hides the body's own io.ErrUnexpectedEOF
		m, err := resp.Body.Read(buf[n:])
		n += m
		if err == io.EOF {
			return buf[:n], true, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
	return buf, false, nil
}

// copyRest copies what was not read ahead, as it comes.
func copyRest(w http.ResponseWriter, resp *http.Response, buf []byte) error {
	flusher, _ := w.(http.Flusher)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			_, _ = w.Write(buf[:n])
			if flusher != nil && resp.ContentLength < 0 {
				flusher.Flush()
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func copyTrailer(h, trailer http.Header, announced int) {
	if len(trailer) == announced {
		maps.Copy(h, trailer)
		return
	}
	for name, values := range trailer {
		h[http.TrailerPrefix+name] = values
	}
}

// closeDelimited reports whether nothing but the end of the connection ends the answer.
func closeDelimited(resp *http.Response) bool {
	return resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
}

// isWholeJSON reports whether the body is a JSON document from its start to its end, which no cut leaves behind. A number
// is the exception: 12 may have been 123.
func isWholeJSON(resp *http.Response, body []byte) bool {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media != "application/json" && !strings.HasSuffix(media, "+json") {
		return false
	}
	body = bytes.TrimSpace(body)
	return len(body) > 0 && strings.IndexByte(`{["`, body[0]) >= 0 && json.Valid(body)
}

// copyFields copies header fields but those that end here.
func copyFields(dst, src http.Header) {
	named := connectionNames(src)
	for name, values := range src {
		if !hopByHop[name] && !named[name] {
			dst[name] = values
		}
	}
}
