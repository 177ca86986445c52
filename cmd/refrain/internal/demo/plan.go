package demo

import (
	crypto "crypto/rand"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/refrain-dev/refrain/cmd/refrain/internal/payments"
)

// took is about how long the sample API takes for a charge.
const took = 40 * time.Millisecond

// perSecond is how many operations the storm starts.
const perSecond = 160

// A fault is what goes wrong with the first try of an operation.
type fault uint8

const (
	noFault     fault = iota
	hangUp            // the connection is cut after the request was sent
	answerLost        // the connection is cut when the answer has arrived, before it is read
	impatience        // the client gives up waiting and asks again
	faultsCount       // how many there are
)

// An operation is one thing a client wants done once, and what goes wrong meanwhile.
type operation struct {
	key     string
	order   payments.Order
	start   time.Duration // since the storm began
	fault   fault
	after   time.Duration // hangUp: since the request was sent; impatience: since the try began
	copies  int           // how many clients send it at once, each with its own tries
	forgets bool          // a client loses the answer it has read, and asks again
}

// plan draws n operations. The same seed gives the same storm, but for the keys: a store that outlives the demo knows those of
// the last one.
func plan(n int, seed uint64) []operation {
	random := rand.New(rand.NewPCG(seed, 0))
	operations := make([]operation, n)
	for i := range operations {
		operations[i] = operation{
			key: crypto.Text(),
			order: payments.Order{
				Amount: 100 + random.Int64N(50000), Currency: "EUR", Reference: fmt.Sprintf("order-%04d", i+1),
			},
			start:   time.Duration(i) * time.Second / perSecond,
			fault:   drawFault(random),
			after:   took/8 + time.Duration(random.Int64N(int64(took))),
			copies:  drawCopies(random),
			forgets: random.IntN(4) == 0,
		}
	}
	return operations
}

// drawFault spoils the first try of every other operation.
func drawFault(random *rand.Rand) fault {
	if random.IntN(2) == 0 {
		return noFault
	}
	return 1 + fault(random.IntN(int(faultsCount)-1))
}

// drawCopies lets one operation in five arrive two or three times at once.
func drawCopies(random *rand.Rand) int {
	if random.IntN(5) > 0 {
		return 1
	}
	return 2 + random.IntN(2)
}
