package mysqlstore

import (
	"testing"

	"github.com/refrain-dev/refrain"
)

// TestWhatCannotBeReadIsUnknown damages rows: their operations count as unknown, and are not run.
func TestWhatCannotBeReadIsUnknown(t *testing.T) {
	t.Parallel()
	url := database(t, server(t))
	s := openStore(t, url, Config{})
	t.Cleanup(func() { s.Close() })
	db := openPlain(t, url)
	for name, c := range map[string]struct {
		done  bool
		query string
	}{
		"a state of tomorrow's":    {false, "UPDATE refrain_live SET state = 77 WHERE id = ?"},
		"an outcome of another":    {true, "UPDATE refrain_outcomes SET record = REVERSE(record) WHERE fence = (SELECT fence FROM refrain_done WHERE id = ?)"},
		"an outcome that is gone":  {true, "DELETE FROM refrain_outcomes WHERE fence = (SELECT fence FROM refrain_done WHERE id = ?)"},
		"done and running at once": {true, "INSERT INTO refrain_live SELECT id, 1, token, fence, fingerprint, created, forget, NULL FROM refrain_done WHERE id = ?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claim := newClaim()
			claims(t, s, claim, refrain.Run)
			if c.done {
				settles(t, s, finish(&claim, "paid"), nil)
			}
			exec(t, db, c.query, claim.ID[:])
			rerun := again(claim)
			rerun.Rerun = true
			claims(t, s, rerun, refrain.Unknown)
			settles(t, s, finish(&rerun, "forged"), refrain.ErrStale)
			if r, err := s.Get(within(t), claim.ID); err != nil || r.State != refrain.StateUnknown {
				t.Errorf("Get: got %v, error %v", r.State, err)
			}
		})
	}
}
