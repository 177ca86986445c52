package refrainhttp

// A document is a request's body that was read as JSON, once for all who look into it: for the key and for the fingerprint.
type document struct {
	tree      *selector // by which it was read; nil until it is
	canonical []byte
	plain     bool // it has a single meaning
}

// read reads the body of the request that is being worked on, unless that was done.
func (w *workspace) read(body []byte, tree *selector) *document {
	if d := &w.request; d.tree != tree {
		d.tree = tree
		d.canonical, d.plain = w.json.append(d.canonical[:0], body, tree)
	}
	return &w.request
}

// appendCanonical is canonicaliser.append for the body of the request, or of an item of a batch.
func (w *workspace) appendCanonical(b, body []byte, fields *selector) ([]byte, bool) {
	if d := &w.request; fields != nil && d.tree == fields {
		return append(b, d.canonical...), d.plain
	}
	return w.json.append(b, body, fields)
}
