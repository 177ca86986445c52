package refrainhttp

// mark sets the header fields that say what an answer is that is not the middleware's own.
func (x *exchange) mark(m marking) {
	v := &x.work.marking
	*v = m
	v.key = x.key
	h := x.client.Header()
	setMarks(h, x.plan.speech.marks, v)
	switch {
	case m.class == Release:
		setMarks(h, x.plan.speech.releaseMarks, v)
	case m.status != StatusUnknown && m.status != StatusBypassed:
		setMarks(h, x.plan.speech.outcomeMarks, v)
	}
}

// A marking is what the marks say of an answer that is not the middleware's own.
type marking struct {
	key      clientKey
	status   Status
	code     int // the answer's status
	class    Class
	replayed bool
	expires  string
}

// value implements variables.
func (m *marking) value(name string, _ *pointer) string {
	switch name {
	case varKey:
		return m.key.written()
	case varKeySource:
		return m.key.source()
	case varStatus:
		return m.status.told()
	case varExpires:
		return m.expires
	case varAdvice:
		return m.advice()
	case varReplayed:
		if m.replayed {
			return "true"
		}
	}
	return ""
}

// advice returns what a client should do with its key: the same again if it may still come to run or to an answer, a new one
// for a request that is put right after a refusal that is final, nothing after a success. Nothing also after a final 5xx, which
// leaves open whether it happened: a new key could make it happen twice.
func (m *marking) advice() string {
	switch {
	case m.status == StatusUnknown, m.status == StatusUnrecorded, m.status == StatusBypassed, m.class == Release:
		return "same-key"
	case m.code >= 400 && m.code < 500:
		return "new-key"
	}
	return "none"
}
