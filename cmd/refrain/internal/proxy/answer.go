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

// copyAnswer copies the final answer. An error tells that the upstream cut it short.
func (p *Proxy) copyAnswer(w http.ResponseWriter, r *http.Request, resp *http.Response) error {
	body := io.Reader(resp.Body)
	if resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 { // delimited by the end of the connection
		start, err := io.ReadAll(io.LimitReader(body, maxUndelimited))
		switch whole := len(start) < maxUndelimited && isWholeJSON(resp, start); {
		case whole:
			body = bytes.NewReader(start)
		case err != nil:
			return unreadable(err)
		default:
			refrainhttp.MarkIncomplete(r.Context())
			body = io.MultiReader(bytes.NewReader(start), body)
		}
	}
	h := w.Header()
	copyFields(h, resp.Header)
	announced := len(resp.Trailer)
	for name := range resp.Trailer {
		h.Add("Trailer", name)
	}
	w.WriteHeader(resp.StatusCode)
	if err := p.copyBody(w, body, resp.ContentLength < 0); err != nil {
		return unreadable(err)
	}
	copyTrailer(h, resp.Trailer, announced)
	return nil
}

// copyBody copies to the client, whose absence is the middleware's business: an error is the upstream's.
func (p *Proxy) copyBody(w http.ResponseWriter, body io.Reader, flush bool) error {
	buf := p.buffers.Get().(*[]byte)
	defer p.buffers.Put(buf)
	flusher, _ := w.(http.Flusher)
	for {
		n, err := body.Read(*buf)
		if n > 0 {
			_, _ = w.Write((*buf)[:n])
			if flusher != nil && flush {
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
		if !hopByHop(name) && !named[name] {
			dst[name] = values
		}
	}
}
