package refrainhttp

import (
	"context"
	"net/http"
)

// A passing is the context of a request that runs without a claim, in case its handler fails.
type passing struct {
	context.Context
	m       *Middleware
	request *http.Request // as it came
	body    []byte        // what was read of it
}

// Value implements context.Context.
func (p *passing) Value(key any) any {
	if key == (executionKey{}) {
		return p
	}
	return p.Context.Value(key)
}

// passOn lets a request through to a handler that may fail in the words of its path.
func (m *Middleware) passOn(next http.Handler, w http.ResponseWriter, r *http.Request, body []byte) {
	if m.routes.worded {
		r = r.WithContext(&passing{r.Context(), m, r, body})
	}
	next.ServeHTTP(w, r)
}

// fail answers as the policy of the path has it, whatever the method. It reports false if that has no words of its own. Where
// the method changes nothing, nothing happened.
func (p *passing) fail(w http.ResponseWriter, kind problemKind) bool {
	f := refusal{kind: kind}
	if safe(p.request.Method) {
		f = refusal{kind: problemUnreachable, detail: "The API gave no whole answer. Send the same request again."}
	}
	for _, found := range p.m.plansOf(p.request) {
		if words := &found.speech.words[f.kind]; words.body != nil {
			(&telling{refusal: f, words: words, status: StatusRefused, request: p.body}).write(w)
			return true
		}
	}
	return false
}
