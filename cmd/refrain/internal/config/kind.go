package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A kind is how values of a type are read and shown.
type kind[T any] struct {
	read func(value) (T, bool)
	show func(T) string
}

// scalar is a kind of single values.
func scalar[T any](parse func(string) (T, error), show func(T) string) kind[T] {
	read := func(v value) (T, bool) {
		var zero T
		text, ok := v.scalar()
		if !ok {
			return zero, false
		}
		got, err := parse(text)
		if err != nil {
			v.fault("%s", err)
			return zero, false
		}
		return got, true
	}
	return kind[T]{read: read, show: show}
}

// list is a kind of lists of single values, each at most once.
func list[T comparable](of kind[T]) kind[[]T] {
	read := func(v value) ([]T, bool) {
		items, whole := v.items()
		got := make([]T, 0, len(items))
		seen := make(map[T]bool, len(items))
		for _, item := range items {
			one, ok := of.read(item)
			if ok && seen[one] {
				item.fault("listed twice; remove one")
			}
			seen[one] = true
			got = append(got, one)
			whole = whole && ok
		}
		return got, whole
	}
	show := func(all []T) string {
		texts := make([]string, len(all))
		for i, one := range all {
			texts[i] = of.show(one)
		}
		return "[" + strings.Join(texts, ", ") + "]"
	}
	return kind[[]T]{read: read, show: show}
}

// word is a kind of one of some words. Those of later versions are told apart from nonsense.
func word[T ~string](supported []T, later ...string) kind[T] {
	names := make([]string, len(supported))
	for i, s := range supported {
		names[i] = string(s)
	}
	parse := func(text string) (T, error) {
		have := "supported: " + strings.Join(names, ", ")
		switch {
		case slices.Contains(names, text):
			return T(text), nil
		case slices.Contains(later, text):
			return "", fmt.Errorf("%q is not in this version; %s", text, have)
		}
		if near := nearest(text, names); near != "" {
			return "", fmt.Errorf("%q is not known; did you mean %s?", text, near)
		}
		return "", fmt.Errorf("%q is not known; %s", text, have)
	}
	return scalar(parse, func(t T) string { return string(t) })
}

// choice is a kind of words that stand for the numbers from 0.
func choice[T ~uint8](supported []string, later ...string) kind[T] {
	words := word(supported, later...)
	read := func(v value) (T, bool) {
		w, ok := words.read(v)
		return T(slices.Index(supported, w)), ok
	}
	return kind[T]{read: read, show: func(t T) string { return supported[t] }}
}

// quiet is a kind whose zero value or empty list is not shown: it says nothing.
func quiet[T any](k kind[T]) kind[T] {
	show := k.show
	k.show = func(t T) string {
		if s := show(t); s != "0" && s != "0s" && s != "[]" {
			return s
		}
		return ""
	}
	return k
}

// text is a kind of any text.
func text() kind[string] {
	return scalar(func(text string) (string, error) { return text, nil }, strings.Clone)
}

// orNone is a kind of durations in which zero, which means none at all, is kept as a negative one.
func orNone(k kind[time.Duration]) kind[time.Duration] {
	read := func(v value) (time.Duration, bool) {
		d, ok := k.read(v)
		if d == 0 {
			d = -1
		}
		return d, ok
	}
	return kind[time.Duration]{read: read, show: func(d time.Duration) string { return k.show(max(0, d)) }}
}

// inherited is a kind of durations whose zero stands for that of another field, and is not shown.
func inherited(k kind[time.Duration]) kind[time.Duration] {
	return kind[time.Duration]{read: k.read, show: func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return k.show(d)
	}}
}

func boolean() kind[bool] {
	parse := func(text string) (bool, error) {
		switch text {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, fmt.Errorf("%q is neither true nor false", text)
	}
	return scalar(parse, strconv.FormatBool)
}

// integer is a kind of whole numbers from low to high.
func integer(low, high int) kind[int] {
	parse := func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil {
			return 0, fmt.Errorf("%q is not a whole number; write one from %d to %d", text, low, high)
		}
		if n < low || n > high {
			return 0, fmt.Errorf("%d is out of range; it must be from %d to %d", n, low, high)
		}
		return n, nil
	}
	return scalar(parse, strconv.Itoa)
}

// duration is a kind of durations from low to high.
func duration(low, high time.Duration) kind[time.Duration] {
	parse := func(text string) (time.Duration, error) {
		d, err := parseDuration(text)
		switch {
		case err != nil:
			return 0, err
		case d < low:
			return 0, fmt.Errorf("%s is too short; it must be at least %s", text, showDuration(low))
		case d > high:
			return 0, fmt.Errorf("%s is too long; it must be at most %s", text, showDuration(high))
		}
		return d, nil
	}
	return scalar(parse, showDuration)
}

const day = 24 * time.Hour

// parseDuration reads what time.ParseDuration does, and days in front of it.
func parseDuration(text string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil && text != "0" {
		return 0, fmt.Errorf("%q has no unit; write %ss for seconds, or ms, m, h, d", text, text)
	}
	count, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		count, rest = "0", text
	}
	days, err := strconv.ParseUint(count, 10, 16)
	if err != nil {
		return 0, notDuration(text)
	}
	var short time.Duration
	if rest != "" {
		if short, err = time.ParseDuration(rest); err != nil {
			return 0, notDuration(text)
		}
	}
	if short < 0 {
		return 0, fmt.Errorf("%q is negative", text)
	}
	if short > 1<<62 {
		return 0, notDuration(text)
	}
	return time.Duration(days)*day + short, nil
}

func notDuration(text string) error {
	return fmt.Errorf("%q is not a duration; write one such as 500ms, 30s, 24h or 7d", text)
}

// showDuration writes a duration as parseDuration reads it, without the parts that are zero.
func showDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%day == 0 && d > day:
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if d%time.Minute == 0 {
		s = strings.TrimSuffix(s, "0s")
	}
	if d%time.Hour == 0 {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// size is a kind of byte counts from 1 to high.
func size(high int64) kind[int64] {
	parse := func(text string) (int64, error) {
		n, err := parseSize(text)
		switch {
		case err != nil:
			return 0, err
		case n < 1 || n > high:
			return 0, fmt.Errorf("%s is out of range; it must be from 1B to %s", text, showSize(high))
		}
		return n, nil
	}
	return scalar(parse, showSize)
}

func parseSize(text string) (int64, error) {
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	n, err := strconv.ParseInt(text[:digits], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size; write one such as 512KiB or 1MiB", text)
	}
	unit := strings.TrimSpace(text[digits:])
	for _, u := range sizeUnits {
		if unit == u.name {
			if n > (1<<63-1)/u.bytes {
				return 0, fmt.Errorf("%q is out of range", text)
			}
			return n * u.bytes, nil
		}
	}
	if unit == "" {
		return 0, fmt.Errorf("%q has no unit; write %sB for bytes, or KiB, MiB, GiB", text, text)
	}
	return 0, fmt.Errorf("unit %q is not known; the units are B, KiB, MiB and GiB", unit)
}

func showSize(n int64) string {
	for _, u := range sizeUnits {
		if n%u.bytes == 0 && n >= u.bytes {
			return fmt.Sprintf("%d%s", n/u.bytes, u.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}
