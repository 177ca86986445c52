package redisstore

import (
	"encoding/hex"
	"fmt"

	"github.com/refrain-dev/refrain"
)

// tagCount is how many parts the operations are in, by the first ten bits of their IDs. Each part has a key of its own, the tag,
// and all of its keys are in one slot of a Cluster.
const tagCount = 1024

// names are how the store's keys are called.
type names struct {
	store   string // has the secret
	confirm string // an operator writes it
	lost    string // has the identity of a database that was emptied, as a process left word that had known it
	ended   string // a channel: operations that have ended and are waited for
	tags    [tagCount]string
}

func newNames(prefix string) names {
	n := names{
		store: prefix + ":store", confirm: prefix + ":confirm", lost: prefix + ":lost", ended: prefix + ":ended",
	}
	for i := range n.tags {
		n.tags[i] = fmt.Sprintf("%s:{%s.%03x}", prefix, prefix, i)
	}
	return n
}

// of returns the keys of an operation: the tag of its part, its record and its outcome.
func (n *names) of(id *refrain.ID) (keys [3]string) {
	tag := n.tags[int(id[0])<<2|int(id[1])>>6]
	b := make([]byte, 0, len(tag)+1+2*len(id)+2)
	b = append(append(b, tag...), ':')
	b = hex.AppendEncode(b, id[:])
	b = append(b, ":o"...)
	keys[0], keys[2] = tag, string(b)
	keys[1] = keys[2][:len(b)-2]
	return keys
}
