package refrainhttp

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// dates are HTTP dates and their text form. Most that are asked for are within the same few seconds.
type dates struct {
	recent [64]atomic.Pointer[date] // by second, those that are written
	read   [60]atomic.Pointer[date] // by second of the minute, those that are read
}

type date struct {
	second int64 // since 1970
	text   string
}

// format returns the date (RFC 9110, section 5.6.7).
func (d *dates) format(t time.Time) string {
	second := t.Unix()
	slot := &d.recent[uint64(second)%uint64(len(d.recent))]
	if known := slot.Load(); known != nil && known.second == second {
		return known.text
	}
	text := t.UTC().Format(http.TimeFormat)
	slot.Store(&date{second, text})
	return text
}

// parse returns the moment that a date means, if it is one in the form in which dates are written (RFC 9110, section 5.6.7).
func (d *dates) parse(text string) (t time.Time, ok bool) {
	const at = len("Sun, 06 Nov 1994 08:49:") // the second
	if len(text) != len(http.TimeFormat) {
		return t, false
	}
	slot := &d.read[(uint(text[at])*10+uint(text[at+1]))%uint(len(d.read))]
	if known := slot.Load(); known != nil && known.text == text {
		return time.Unix(known.second, 0), true
	}
	t, err := time.Parse(http.TimeFormat, text)
	if err != nil || t.Format(http.TimeFormat) != text { // time.Parse allows more
		return t, false
	}
	slot.Store(&date{t.Unix(), strings.Clone(text)})
	return t, true
}
