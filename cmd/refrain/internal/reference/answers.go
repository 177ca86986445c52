package reference

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// What follows says what becomes of an answer, each in a line of the page, "" if there is nothing to say.

func after(c *refrainhttp.Contract) string {
	if c.Key.SequenceWindow > 0 {
		return "After that the number is still known as used."
	}
	if c.Remembered <= 0 {
		return "After that the key is new."
	}
	return fmt.Sprintf("For %s after that, a retry is told that the operation was done.", span(c.Remembered))
}

// echo says what of an answer that is given again is the retry's.
func echo(c *refrainhttp.Contract) string {
	if len(c.Answers.Echo) == 0 {
		return ""
	}
	return "An answer that is given again has the " + list(c.Answers.Echo) + " of the request that it is given to."
}

// failures says how long answers that are no successes are kept, if that differs.
func failures(c *refrainhttp.Contract) string {
	switch f := c.Failures; {
	case f == nil:
		return ""
	case f.Remembered <= 0:
		return fmt.Sprintf("A failure is given again for %s; after that the key is new.", span(f.Lifetime))
	default:
		return fmt.Sprintf("A failure is given again for %s, and a retry is told of it for %s more.",
			span(f.Lifetime), span(f.Remembered))
	}
}

func released(c *refrainhttp.Contract) string {
	all := slices.Clone(c.Answers.Released)
	if !slices.Contains(slices.Concat(c.Answers.Kept, all, c.Answers.Unknown), "503") {
		all = append(all, "503 with `Retry-After`") // the one case that no list says
	}
	if len(all) == 0 {
		return ""
	}
	return "Nothing happened, a retry runs: " + list(all) + "."
}

func unknown(c *refrainhttp.Contract) string {
	retry := map[string]string{
		"hold":  "no retry runs",
		"rerun": "a retry runs again",
		"probe": "a retry has the API asked, and runs only if it did not happen",
	}[c.Unknown]
	return "Whether it happened is open, " + retry + ": " + list(append(slices.Clone(c.Answers.Unknown), "no whole answer")) + "."
}

// rules says what goes before the status.
func rules(c *refrainhttp.Contract) string {
	means := map[string]string{"kept": "it is kept", "released": "nothing happened", "unknown": "it is open whether it happened"}
	var all []string
	for _, r := range c.Answers.Rules {
		what := "the header `" + r.Header + ": " + r.Value + "`"
		if r.Pointer != "" {
			what = cmp.Or(r.Value, "anything") + " at `" + r.Pointer + "` in its body"
		}
		all = append(all, "with "+what+" that "+means[r.Means])
	}
	if len(all) == 0 {
		return ""
	}
	return "Whatever its status, an answer says " + strings.Join(all, ", ") + "."
}

func waiting(c *refrainhttp.Contract) string {
	if c.Wait <= 0 {
		return ""
	}
	return "A retry of a request that is still running waits up to " + span(c.Wait) + " for its answer."
}
