package main

import (
	"fmt"
	"slices"
	"strings"
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

// duel lets two sides work in turns.
func duel(what string, rounds int, a, b side) (score, error) {
	scores, err := tourney(what, rounds, a, b)
	if err != nil {
		return score{}, err
	}
	return scores[0], nil
}

// warmDuel is a duel before which each side works for a turn that does not count.
func warmDuel(what string, rounds int, a, b side) (score, error) {
	scores, err := warmTourney(what, rounds, a, b)
	if err != nil {
		return score{}, err
	}
	return scores[0], nil
}

// warmTourney is a tourney before which each side works for a turn that does not count.
func warmTourney(what string, rounds int, sides ...side) ([]score, error) {
	for _, s := range sides {
		if _, err := s.work(); err != nil {
			return nil, fmt.Errorf("warming up %s: %w", s.name, err)
		}
	}
	return tourney(what, rounds, sides...)
}

// tourney lets sides work in turns, and scores each but the last beside the last. The machine's moods last longer than a
// turn, so the ratio of neighbours says more than the ratio of averages; who begins changes each round.
func tourney(what string, rounds int, sides ...side) ([]score, error) {
	rates := make([][]float64, len(sides))
	order := make([]int, len(sides))
	for i := range order {
		order[i] = i
	}
	for round := range rounds {
		var line strings.Builder
		fmt.Fprintf(&line, "%s, round %d of %d:", what, round+1, rounds)
		for _, i := range order {
			v, err := sides[i].work()
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", what, sides[i].name, err)
			}
			rates[i] = append(rates[i], v)
			fmt.Fprintf(&line, " %s %s", sides[i].name, amount(v))
		}
		progress(fmt.Sprintf("%s, ratio %.2f", &line, rates[0][round]/rates[len(sides)-1][round]))
		slices.Reverse(order)
	}
	last := rates[len(sides)-1]
	var scores []score
	for _, side := range rates[:len(sides)-1] {
		ratios := make([]float64, rounds)
		for i := range ratios {
			ratios[i] = side[i] / last[i]
		}
		s := scoreOf(ratios)
		s.a, s.b = median(side), median(last)
		scores = append(scores, s)
	}
	return scores, nil
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
