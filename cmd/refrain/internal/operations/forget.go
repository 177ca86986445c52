package operations

import (
	"net/http"

	"github.com/refrain-dev/refrain"
)

// forget removes an operation that is done, so that its key is new.
func (h *handler) forget(r *http.Request) (any, error) {
	var said Oblivion
	if err := decode(r, &said); err != nil {
		return nil, err
	}
	if err := audited(said.Fence, said.Reason, said.By); err != nil {
		return nil, err
	}
	return h.end(r, &refrain.Resolution{Fence: said.Fence, Ending: refrain.Forgotten, By: said.By, Reason: said.Reason})
}
