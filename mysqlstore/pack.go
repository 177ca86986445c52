package mysqlstore

import (
	"fmt"

	"github.com/refrain-dev/refrain"
)

// packClaims returns the claims as the procedure refrain_group takes them, one behind the other.
func packClaims(list []*request) []byte {
	b := make([]byte, 0, 100*len(list))
	for _, r := range list {
		b = append(b, r.claim.ID[:]...)
		b = append(b, r.claim.Token[:]...)
		b = append(b, r.claim.Fingerprint[:]...)
		b = fmt.Appendf(b, "%020d", us(r.claim.Lease))
	}
	return b
}

// packFinishes returns the finishes as the procedure takes them, and what their outcomes are kept as.
func packFinishes(list []*request) (finishes, records []byte) {
	finishes = make([]byte, 0, 226*len(list))
	for _, r := range list {
		done := r.record
		done.State, done.Outcome = refrain.StateDone, r.settle.Outcome
		before := len(records)
		records = appendStored(records, r.settle.ID, &done)
		finishes = append(finishes, r.settle.ID[:]...)
		finishes = fmt.Appendf(finishes, "%020d", done.Fence)
		finishes = append(finishes, done.Token[:]...)
		finishes = append(finishes, done.Fingerprint[:]...)
		finishes = fmt.Appendf(finishes, "%020d%020d%020d%020d%02d%020d%02d%011d%011d", column(done.Created),
			r.plan.retention, r.plan.life, r.plan.done.length, r.plan.done.mark, r.plan.kept.length, r.plan.kept.mark,
			before+1, len(records)-before)
	}
	return finishes, records
}
