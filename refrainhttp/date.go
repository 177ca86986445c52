package refrainhttp

import (
	"net/http"
	"strings"
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

// parseDate returns the time that an IMF-fixdate tells (RFC 9110, section 5.6.7): that form of a date and no other.
func parseDate(s string) (time.Time, bool) {
	const days, months = "SunMonTueWedThuFriSat", "JanFebMarAprMayJunJulAugSepOctNovDec"
	if len(s) != len(http.TimeFormat) || s[3:5] != ", " || s[7] != ' ' || s[11] != ' ' || s[16] != ' ' || s[19] != ':' ||
		s[22] != ':' || s[25:] != " GMT" {
		return time.Time{}, false
	}
	month := strings.Index(months, s[8:11])
	year, day, hour, minute, second := natural(s[12:16]), natural(s[5:7]), natural(s[17:19]), natural(s[20:22]), natural(s[23:25])
	if month%3 != 0 || min(year, day, hour, minute, second) < 0 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month/3+1), day, hour, minute, second, 0, time.UTC)
	h, m, sec := t.Clock()
	return t, t.Day() == day && h == hour && m == minute && sec == second && s[:3] == days[3*t.Weekday():][:3]
}

// natural returns the number that the text is, or -1.
func natural(s string) (n int) {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return -1
		}
		n = 10*n + int(s[i]-'0')
	}
	return n
}
