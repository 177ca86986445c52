package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A Check is a condition for the process to get traffic.
type Check struct {
	Name string
	// Of returns why the process should get none, or nil.
	Of func(context.Context) error
}

// readyTimeout bounds how long a readiness check may take.
const readyTimeout = time.Second

// serveReady answers whether the checks are good, except those that the query excludes, as Kubernetes' own servers have it.
func serveReady(w http.ResponseWriter, r *http.Request, checks []Check) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	excluded := r.URL.Query()["exclude"]
	if at := slices.IndexFunc(excluded, func(name string) bool { return !has(checks, name) }); at >= 0 {
		answer(w, http.StatusBadRequest, fmt.Sprintf("exclude: there is no check %q; there are %s", excluded[at], names(checks)))
		return
	}
	for _, c := range checks {
		if slices.Contains(excluded, c.Name) {
			continue
		}
		if err := c.Of(ctx); err != nil {
			answer(w, http.StatusServiceUnavailable, fmt.Sprintf("not ready: %s: %s", c.Name, err))
			return
		}
	}
	answer(w, http.StatusOK, "ready")
}

func has(checks []Check, name string) bool {
	return slices.ContainsFunc(checks, func(c Check) bool { return c.Name == name })
}

func names(checks []Check) string {
	all := make([]string, len(checks))
	for i, c := range checks {
		all[i] = c.Name
	}
	return strings.Join(all, ", ")
}
