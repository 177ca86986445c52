package mysqlstore

import (
	"fmt"
	"math"
	"math/bits"
	"time"
)

// A bucket is the number of a partition. It says which time the partition covers: its length is a power of two seconds, whose
// exponent is in the lower six bits, one more than it is; above them is how many such times had passed since 1970. Bucket 0 is
// for what found no partition: it is never dropped, and swept row by row.
type bucket int64

// level returns the exponent for what is kept for that long: a partition covers between a quarter and half of it, but no less
// than least.
func level(kept, least time.Duration) int {
	half := max(kept/2, least, time.Second)
	return min(bits.Len64(uint64(half/time.Second))-1, 40)
}

// bucketAt returns the bucket of a time.
func bucketAt(level int, t time.Time) bucket {
	return bucket(t.UnixMicro()/(1_000_000<<level)*64 + int64(level) + 1)
}

// A split is what the server computes a bucket with, from a time in microseconds: time DIV length * 64 + mark.
type split struct {
	length int64
	mark   int
}

// unsplit gives bucket 0 at any time.
var unsplit = split{length: math.MaxInt64}

func splitAt(level int) split { return split{1_000_000 << level, level + 1} }

// over returns the time by which everything in the bucket is.
func (b bucket) over() time.Time {
	level := int64(b%64) - 1
	return time.Unix((int64(b)/64+1)<<level, 0)
}

func (b bucket) name() string { return fmt.Sprintf("p%d", int64(b)) }
