package main

import (
	"fmt"
	"slices"
	"time"
)

// A side is one party of a comparison: it works for a while and says how much it got done, in whatever unit both have.
type side struct {
	name string
	work func() (float64, error)
}

// A score is what came of a duel.
type score struct {
	a, b   float64 // medians
	ratio  float64 // the median of a/b of each round: what both saw of the machine at about the same time
	lo, hi float64 // the smallest and the largest ratio
}

// duel lets two sides work in turns. The machine's moods last longer than a turn, so the ratio of neighbours says more than
// the ratio of averages; who begins changes each round.
func duel(what string, rounds int, a, b side) (score, error) {
	var as, bs, ratios []float64
	for i := range rounds {
		turns := []struct {
			side *side
			got  *[]float64
		}{{&a, &as}, {&b, &bs}}
		if i%2 == 1 {
			slices.Reverse(turns)
		}
		for _, t := range turns {
			v, err := t.side.work()
			if err != nil {
				return score{}, fmt.Errorf("%s: %s: %w", what, t.side.name, err)
			}
			*t.got = append(*t.got, v)
		}
		ratios = append(ratios, as[i]/bs[i])
		progress(fmt.Sprintf("%s, round %d of %d: %s %s, %s %s, ratio %.2f",
			what, i+1, rounds, a.name, amount(as[i]), b.name, amount(bs[i]), ratios[i]))
	}
	s := scoreOf(ratios)
	s.a, s.b = median(as), median(bs)
	return s, nil
}

func scoreOf(ratios []float64) score {
	return score{ratio: median(ratios), lo: slices.Min(ratios), hi: slices.Max(ratios)}
}

// median returns the value in the middle, or the mean of the two.
func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	if n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[n/2]
}

// amount prints a number with about three digits.
func amount(v float64) string {
	switch {
	case v >= 1_000_000:
		return fmt.Sprintf("%.3g M", v/1_000_000)
	case v >= 100_000:
		return fmt.Sprintf("%.0f k", v/1000)
	case v >= 10_000:
		return fmt.Sprintf("%.1f k", v/1000)
	case v >= 1000:
		return fmt.Sprintf("%.2f k", v/1000)
	}
	return fmt.Sprintf("%.3g", v)
}

func ms(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
