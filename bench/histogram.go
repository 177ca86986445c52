package main

import (
	"math/bits"
	"time"
)

// A histogram counts durations in buckets that are at most 1/32 wide, relative to their value. The zero one is empty.
type histogram struct {
	count  int
	bucket [40 * 32]uint32
}

func (h *histogram) observe(d time.Duration) {
	h.count++
	h.bucket[bucketOf(uint64(max(d, 0)))]++
}

// bucketOf splits each power of two into 32.
func bucketOf(v uint64) int {
	if v < 64 {
		return int(v)
	}
	shift := bits.Len64(v) - 6
	return min(shift*32+int(v>>shift), 40*32-1)
}

// upper returns the first value above a bucket.
func upper(bucket int) uint64 {
	if bucket < 64 {
		return uint64(bucket) + 1
	}
	shift := bucket/32 - 1
	return (uint64(bucket-shift*32) + 1) << shift
}

func (h *histogram) add(o *histogram) {
	h.count += o.count
	for i, n := range o.bucket {
		h.bucket[i] += n
	}
}

// quantile returns a duration that the share q of all durations is below.
func (h *histogram) quantile(q float64) time.Duration {
	rank := int(q * float64(h.count))
	for i, n := range h.bucket {
		rank -= int(n)
		if rank < 0 {
			return time.Duration(upper(i))
		}
	}
	return 0
}
