package refrainhttp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/refrain-dev/refrain"
)

// A Batch is about requests that are many operations: their body is JSON with an array whose items carry keys of their own.
// Each item is an operation like any other. Those that are done are answered from their records, and only the others are
// forwarded, in one request whose array holds just them. The answer has an array with an answer for each item, in the order of
// the request.
//
// A batch in which no item has a key is a request without one; a batch in which some have is refused, as is one with a key
// twice, and one with a key of its own. An item that is not answered from its record nor forwarded has a problem document in its
// place, and the answer the status 207.
type Batch struct {
	// Key is a JSON pointer (RFC 6901) to an item's key, a string or a number. If empty, requests are no batches.
	Key string
	// Items is a pointer to the array in the body. If empty, the body is the array.
	Items string
	// Answers is a pointer to the array in the answer, with one answer for each item that was forwarded, in their order. If
	// empty, it is Items. An answer without such an array is given as it is, and tells of all its items alike: a 4xx that nothing
	// happened, for a batch that was turned away as a whole; anything else that would be final, that nobody knows.
	Answers string
	// Status is a pointer to the HTTP status of one item in its answer, by which Policy.Outcomes class it. If empty, or where it
	// is missing, an item has the class of the whole answer.
	Status string
	// Limit is how many items a batch may have. If zero, 100.
	Limit int
}

const (
	defaultBatch = 100
	maxBatch     = 1000
)

func (b Batch) withDefaults() Batch {
	if b.Key != "" {
		orElse(&b.Answers, b.Items)
		orElse(&b.Limit, defaultBatch)
	}
	return b
}

// A batching is a Batch compiled.
type batching struct {
	items, answers arrayPath
	key            *pointer
	status         *pointer // or nil
	limit          int
	operation      refrain.Policy // of items: nobody waits while he holds claims
	fingerprint    fingerprinter  // of items
	strangers      fingerprinter
}

// newBatching returns that of the policy, whose defaults are explicit, or nil.
func newBatching(policy *Policy, p *plan) (*batching, error) {
	b := &policy.Batch
	switch {
	case b.Key == "" && *b == Batch{}:
		return nil, nil
	case b.Key == "":
		return nil, errors.New("needs the key of an item, a JSON pointer such as /id")
	case b.Limit < 0 || b.Limit > maxBatch:
		return nil, fmt.Errorf("limit is %d; it must be from 1 to %d", b.Limit, maxBatch)
	case p.key.inBody:
		return nil, errors.New("key.from is in the body; remove it: each item has its key")
	case p.sequence != nil || p.derive != nil:
		return nil, errors.New("its items have keys; remove the sequence or the derived key")
	case p.firstSent != "":
		return nil, errors.New("its items have no time of their first attempt; remove first sent")
	case p.speech.asks, len(p.echoes) > 0, len(policy.ScopeBody) > 0:
		return nil, errors.New("the request is not about one operation; remove the scope's body, echo, and ${request:/…} in answers")
	case policy.Mode == Observe:
		return nil, errors.New("a batch cannot be observed; use enforce or off")
	}
	return b.compile(p)
}

func (b *Batch) compile(p *plan) (*batching, error) {
	c := &batching{limit: b.Limit, operation: p.operation, fingerprint: p.fingerprint, strangers: p.strangers}
	c.operation.Wait = 0
	if c.fingerprint.body == BodyAuto {
		c.fingerprint.body, c.strangers.body = BodyJSON, BodyJSON // whatever the media type is called
	}
	var errs [4]error
	c.items, errs[0] = newArrayPath(b.Items)
	c.answers, errs[1] = newArrayPath(b.Answers)
	c.key, errs[2] = newPointer(b.Key)
	if b.Status != "" {
		c.status, errs[3] = newPointer(b.Status)
	}
	return c, errors.Join(errs[:]...)
}

// An item is one operation of a batch.
type item struct {
	raw     []byte // in the request's body
	key     clientKey
	attempt *refrain.Attempt
	err     error // of asking the guard
	class   Class
	status  int    // of its answer
	answer  []byte // as the client gets it
}

// runs reports whether the item is to be forwarded.
func (i *item) runs() bool { return i.err == nil && i.attempt.Verdict == refrain.Run }

// split returns the batch's items and the array they are in. There are none in a request that is to be treated as one without a
// key.
func (b *batching) split(x *exchange) ([]item, array, refusal) {
	a, err := b.items.find(x.body.b, x.work)
	switch {
	case errors.Is(err, errAmbiguous):
		return nil, a, refusal{kind: problemKeyInvalid, detail: sentence(err)}
	case err != nil && sealed(x):
		const plain = "A batch is read as it is sent: send JSON without a coding or a byte order mark."
		return nil, a, refusal{kind: problemKeyInvalid, detail: plain}
	case err != nil || len(a.elements) == 0:
		return nil, a, refusal{}
	case len(a.elements) > b.limit:
		return nil, a, b.overLimit(x, a)
	}
	items := make([]item, len(a.elements))
	keys, seen := 0, make(map[string]int, len(items))
	for i, e := range a.elements {
		items[i].raw = x.body.b[e.start:e.end]
		key, err := b.keyOf(x, items[i].raw)
		if errors.Is(err, errNoKey) {
			continue
		}
		if first, twice := seen[key.value]; twice && err == nil {
			err = fmt.Errorf("it has the key of item %d; in a batch each key stands once", first)
		}
		if err != nil {
			return nil, a, refusal{kind: problemKeyInvalid, detail: sentence(fmt.Errorf("item %d: %w", i, err))}
		}
		items[i].key, seen[key.value] = key, i
		keys++
	}
	switch {
	case keys == 0:
		return nil, a, refusal{}
	case keys < len(items):
		first := slices.IndexFunc(items, func(i item) bool { return i.key.value == "" })
		detail := fmt.Sprintf("Item %d has no key, others have; either all have one or none has.", first)
		return nil, a, refusal{kind: problemKeyMissing, detail: detail}
	}
	return items, a, refusal{}
}

// overLimit refuses an array of more elements than a batch may have, if any of them has a key. Nothing is kept of them: there may
// be as many as half the bytes of the body.
func (b *batching) overLimit(x *exchange, a array) refusal {
	hasKey := func(e extent) bool {
		_, err := b.keyOf(x, x.body.b[e.start:e.end])
		return !errors.Is(err, errNoKey)
	}
	if !b.key.mayBeIn(x.body.b) || !slices.ContainsFunc(a.elements, hasKey) {
		return refusal{}
	}
	detail := fmt.Sprintf("The batch has %d items; at most %d are allowed.", len(a.elements), b.limit)
	return refusal{kind: problemTooLarge, detail: detail}
}

// sealed reports whether a body may be a batch to its API and is none to who cannot open it.
func sealed(x *exchange) bool {
	return len(x.request.Header["Content-Encoding"]) > 0 || bytes.HasPrefix(x.body.b, []byte("\ufeff"))
}

// keyOf returns the key of an item.
func (b *batching) keyOf(x *exchange, raw []byte) (clientKey, error) {
	found, ok := b.key.find(raw, x.work)
	if !ok || string(found) == "null" {
		return clientKey{}, errNoKey
	}
	text, ok := scalarText(found)
	if !ok {
		return clientKey{}, errors.New("its key is neither a string nor a number")
	}
	value, err := x.plan.key.parse(text, true)
	return clientKey{value: value, raw: text}, err
}
