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

// maxUndelimited is how much of a close-delimited answer is read to see whether it is whole.
const maxUndelimited = 1 << 20

// copyAnswer copies the final answer. The error tells that the upstream cut it short.
func (p *Proxy) copyAnswer(w http.ResponseWriter, r *http.Request, resp *http.Response) error {
	body := io.Reader(resp.Body)
	if resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 {
		start, whole, err := readUndelimited(resp)
		if err != nil {
			return err
		}
		if !whole {
			refrainhttp.MarkIncomplete(r.Context())
		}
		body = io.MultiReader(bytes.NewReader(start), body)
	}
	h := w.Header()
	copyFields(h, resp.Header)
	announced := len(resp.Trailer)
	for name := range resp.Trailer {
		h.Add("Trailer", name)
	}
	w.WriteHeader(resp.StatusCode)
	if err := p.copyBody(w, body, resp.ContentLength < 0); err != nil {
		return err
	}
	if len(resp.Trailer) == announced {
		maps.Copy(h, resp.Trailer)
		return nil
	}
	for name, values := range resp.Trailer {
		h[http.TrailerPrefix+name] = values
	}
	return nil
}

// copyBody copies to the client, whose absence is the middleware's business: an error is the upstream's.
func (p *Proxy) copyBody(w http.ResponseWriter, body io.Reader, flush bool) error {
	buf := p.buffers.Get().(*[]byte)
	defer p.buffers.Put(buf)
	for {
		n, err := body.Read(*buf)
		if n > 0 {
			_, _ = w.Write((*buf)[:n])
			if f, ok := w.(http.Flusher); ok && flush {
				f.Flush()
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

// readUndelimited reads the start of an answer that ends with the connection, and reports whether it is certainly whole:
// nothing but the media type itself can tell, as a JSON document does that parses to its end.
func readUndelimited(resp *http.Response) (start []byte, whole bool, err error) {
	start, err = io.ReadAll(io.LimitReader(resp.Body, maxUndelimited))
	if err != nil || len(start) == maxUndelimited {
		return start, false, err
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	isJSON := media == "application/json" || strings.HasSuffix(media, "+json")
	return start, isJSON && json.Valid(start), nil
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
