package refrainhttp

import (
	"net/http"
	"sync/atomic"
	"time"
)

// dates are HTTP dates in their text form. Most that are asked for are within the same few seconds.
type dates struct {
	recent [64]atomic.Pointer[date] // by second
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
