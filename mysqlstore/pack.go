package mysqlstore

import (
	"fmt"
	"slices"

	"github.com/refrain-dev/refrain"
)

// packClaims returns the claims as the procedure refrain_group takes them: one column behind the other.
func packClaims(list []*request) []byte {
	var ids, tokens, prints, leases []byte
	for _, r := range list {
		ids = append(ids, r.claim.ID[:]...)
		tokens = append(tokens, r.claim.Token[:]...)
		prints = append(prints, r.claim.Fingerprint[:]...)
		leases = fmt.Appendf(leases, "%020d", us(r.claim.Lease))
	}
	return slices.Concat(ids, tokens, prints, leases)
}

// packFinishes returns the finishes as the procedure takes them, and what their outcomes are kept as, one behind the other.
func packFinishes(list []*request) (finishes, records []byte) {
	var ids, fences, tokens, prints, created, retentions, lives, dones, kepts, places []byte
	for _, r := range list {
		done, p, from := r.record, r.plan, len(records)
		done.State, done.Outcome = refrain.StateDone, r.settle.Outcome
		records = appendStored(records, r.settle.ID, &done)
		ids = append(ids, r.settle.ID[:]...)
		fences = fmt.Appendf(fences, "%020d", done.Fence)
		tokens = append(tokens, done.Token[:]...)
		prints = append(prints, done.Fingerprint[:]...)
		created = fmt.Appendf(created, "%020d", column(done.Created))
		retentions = fmt.Appendf(retentions, "%020d", p.retention)
		lives = fmt.Appendf(lives, "%020d", p.life)
		dones = fmt.Appendf(dones, "%020d%02d", p.done.length, p.done.mark)
		kepts = fmt.Appendf(kepts, "%020d%02d", p.kept.length, p.kept.mark)
		places = fmt.Appendf(places, "%011d%011d", from+1, len(records)-from)
	}
	return slices.Concat(ids, fences, tokens, prints, created, retentions, lives, dones, kepts, places), records
}
