package refrainhttp

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/memstore"
)

// What version 1 digests is in records: if this fails, the change needs a version of its own. See docs/adr/0010.
func TestVersion1StaysAsItWas(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		policy            Fingerprint
		contentType, body string
		want              string
	}{
		{Fingerprint{}, "application/json", `{"b":1.50,"a":["x",null,true,1e2]}`, "87c13906a87c"},
		{Fingerprint{}, "application/x-www-form-urlencoded", "a=1&b=%41+c", "737f60114569"},
		{Fingerprint{}, "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n", "6bdc20cf559b"},
		{Fingerprint{}, "application/x-protobuf", "\x08\x01", "63f555c20822"},
		{Fingerprint{Headers: []string{"X-V"}, Exclude: []string{"/a"}}, "application/json", `{"a":1,"b":2}`, "1766053ed51e"},
		{Fingerprint{Of: []string{"method"}, Body: BodyNone}, "", "", "055ce3b64c41"},
	} {
		p, err := newFingerprinter(Policy{Fingerprint: tt.policy}.WithDefaults().Fingerprint)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/charges/a%2Fb?x=1&y", nil)
		r.Header.Set("Content-Type", tt.contentType)
		r.Header.Set("X-V", "7")
		got := p.digest1(r, []byte(tt.body), &workspace{})
		if s := hex.EncodeToString(got[:6]); s != tt.want {
			t.Errorf("%s %q: got %s, want %s", tt.contentType, tt.body, s, tt.want)
		}
	}
}

func TestNewestAlgorithmsComeFirst(t *testing.T) {
	t.Parallel()
	all := algorithms()
	for i := 1; i < len(all); i++ {
		if all[i].version >= all[i-1].version {
			t.Errorf("version %d stands behind %d", all[i].version, all[i-1].version)
		}
	}
}

// A release is a middleware of a release, on a store that it shares with others.
type release struct {
	t       *testing.T
	handler http.Handler
	runs    int
}

// newRelease returns a middleware that knows version 1, and with newer also an algorithm of version 2.
func newRelease(t *testing.T, s refrain.Store, newer bool) *release {
	t.Helper()
	guard, err := refrain.New(s, refrain.Config{Recall: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = guard.Close(t.Context()) })
	m, err := New(guard, Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.routes.plans {
		for _, f := range []*fingerprinter{&p.fingerprint, &p.strangers} {
			if newer {
				f.algorithms = append([]algorithm{{2, digest2}}, f.algorithms...)
			}
		}
	}
	rel := &release{t: t}
	rel.handler = m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		rel.runs++
		w.WriteHeader(http.StatusCreated)
	}))
	return rel
}

// digest2 digests less than version 1: the body in capitals.
func digest2(_ *fingerprinter, _ *http.Request, body []byte, work *workspace) refrain.Fingerprint {
	work.b = append(append(work.b[:0], 2), strings.ToUpper(string(body))...)
	return sha256.Sum256(work.b)
}

func (rel *release) post(key, body string, want int) *httptest.ResponseRecorder {
	rel.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/charges", strings.NewReader(body))
	r.Header.Set("Idempotency-Key", key)
	w := httptest.NewRecorder()
	rel.handler.ServeHTTP(w, r)
	if w.Code != want {
		rel.t.Errorf("%s %s: got %d %s, want %d", key, body, w.Code, w.Body, want)
	}
	return w
}

func TestRecordsOfAnOlderRelease(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]refrain.Store{
		"peeker": memstore.New(memstore.Config{}),
		"plain":  struct{ refrain.Store }{memstore.New(memstore.Config{})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old, young := newRelease(t, s, false), newRelease(t, s, true)
			old.post("k1", "a", http.StatusCreated)
			if w := young.post("k1", "a", http.StatusCreated); w.Header().Get(headerReplayed) != "true" {
				t.Errorf("got %v, want the replay of what the old release recorded", w.Header())
			}
			young.post("k1", "A", http.StatusUnprocessableEntity) // by version 1, which made the record, it is another request
			young.post("k2", "a", http.StatusCreated)
			young.post("k2", "A", http.StatusCreated) // by version 2 it is the same

			w := old.post("k2", "a", http.StatusConflict) // the old release cannot tell
			if !strings.Contains(w.Body.String(), "outcome-unknown") || !strings.Contains(w.Body.String(), "same-key") {
				t.Errorf("got %s, want an unknown outcome, to be asked for again with the same key", w.Body)
			}
			if old.runs != 1 || young.runs != 1 {
				t.Errorf("got %d and %d runs, want one of each release", old.runs, young.runs)
			}
		})
	}
}

// A repetition keeps nothing of the request that it came from, whose memory is used again.
func TestRepetitionsOfAnOlderReleaseAreAskedAnew(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	old, young := newRelease(t, s, false), newRelease(t, s, true)
	old.post("k1", "a", http.StatusCreated)
	r := httptest.NewRequest(http.MethodPost, "/charges", nil)
	r.Header.Set("Idempotency-Key", "k1")
	w := httptest.NewRecorder()
	again, ok := young.handler.(Recaller).ServeRecalled(w, r, []byte("a"))
	if !ok || w.Code != http.StatusCreated {
		t.Fatalf("got %d, recalled %v, want the replay", w.Code, ok)
	}
	if again != nil {
		t.Error("it may be repeated without being compared")
	}
	if young.runs != 0 {
		t.Error("it ran again")
	}
}
