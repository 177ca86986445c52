package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestRefusesLengthAndEncodingTogether(t *testing.T) {
	t.Parallel()
	const (
		get     = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
		post    = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
		chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"
		clte    = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
		tecl    = "POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\ncontent-length: 5\n\n0\r\n\r\n"
		badcl   = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
		folded  = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"
		decoy   = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 55\r\n\r\n\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n12345"
	)
	for name, tc := range map[string]struct {
		stream string
		want   bool
	}{
		"plain":            {get + post + chunked + get, true},
		"length, encoding": {clte, false},
		"encoding, length": {tecl, false},
		"bad length":       {badcl, false},
		"folded":           {folded, false},
		"behind others":    {post + chunked + get + clte, false},
		"HTTP/1.0 chunked": {strings.Replace(chunked, "HTTP/1.1", "HTTP/1.0", 1) + get, false},
		"HTTP/1.0":         {strings.Replace(post, "HTTP/1.1", "HTTP/1.0", 1) + get, true},
		"only bad length":  {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", false},
		"bad chunk":        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false},
		"bare LF, chunk":   {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", false},
		"bare LF, end":     {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n" + get, false},
		"bare LF, trailer": {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\n\r\n" + get, false},
		"in a body":        {decoy + get, true},
		"empty lines":      {post + "\r\n" + post + "\n" + get, true},
		"CR in front":      {post + "\r\r\n" + get, false},
		"nearly HTTP/2":    {"PRI / HTTP/1.1\r\nHost: x\r\n\r\n" + clte, false},
		"HTTP/2":           {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + clte, true},
		"HTTP/2, later":    {get + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + clte, false},
		"HTTP/2, late":     {"\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + clte, false},
		"not all HTTP/2":   {"PRI * HTTP/2.0\r\n\r\n" + clte, false},
		"bare LF, HTTP/2":  {"PRI * HTTP/2.0\n\r\nSM\r\n\r\n" + clte, false},
		"bare LF, preface": {"PRI * HTTP/2.0\r\n\r\nSM\r\n\n" + clte, false},
	} {
		for step := 1; step < len(tc.stream); step++ {
			var f framing
			got := true
			for rest := tc.stream; rest != "" && got; {
				n := min(step, len(rest))
				got = f.follow([]byte(rest[:n]))
				rest = rest[n:]
			}
			if got != tc.want {
				t.Errorf("%s in steps of %d: followed %v, want %v", name, step, got, tc.want)
			}
		}
	}
}

func TestStrictListenerAnswers400(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served int
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served++
		_, _ = io.Copy(w, r.Body)
	})}
	go srv.Serve(StrictListener(l, nil, 0))
	t.Cleanup(func() { srv.Close() })

	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for _, tc := range []struct {
		request string
		want    int
	}{
		{"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200},
		{"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400},
	} {
		if _, err := io.WriteString(c, tc.request); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != tc.want {
			t.Errorf("got %d %q, want %d", resp.StatusCode, body, tc.want)
		}
	}
	if _, err := r.ReadByte(); err != io.EOF { // and there is no second answer
		t.Errorf("after the refusal: %v, want the connection closed", err)
	}
	if served != 1 {
		t.Errorf("%d requests were served, want 1", served)
	}
}

// FuzzFraming checks that wherever net/http reads a chunked request, the framing has seen whether it had a length too.
func FuzzFraming(f *testing.F) {
	f.Add("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 3)
	f.Add("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: x\r\n\r\n", 1)
	f.Fuzz(func(t *testing.T, stream string, step int) {
		step = max(step, 1)
		var fr framing
		ok := true
		for rest := stream; rest != "" && ok; {
			n := min(step, len(rest))
			ok = fr.follow([]byte(rest[:n]))
			rest = rest[n:]
		}
		r := bufio.NewReader(strings.NewReader(stream))
		for ok {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if req.Method == "PRI" {
				return
			}
			if len(req.TransferEncoding) > 0 && ambiguous(stream, req) {
				t.Fatalf("net/http reads a request that the framing should have refused:\n%q", stream)
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
		}
	})
}

// ambiguous reports whether the stream is just one request and its head names a length.
func ambiguous(stream string, req *http.Request) bool {
	head, rest, whole := strings.Cut(stream, "\r\n\r\n")
	return whole && !strings.Contains(head, "\n\n") && rest == "0\r\n\r\n" && req.RequestURI != "" &&
		strings.Contains(strings.ToLower(head), "\r\ncontent-length:")
}
