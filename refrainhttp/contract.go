package refrainhttp

import (
	"cmp"
	"strconv"
	"time"

	"github.com/refrain-dev/refrain"
)

// A Contract is what clients may rely on when they send requests that match a pattern. Its JSON is what Middleware.Publish
// tells them; times are in seconds.
type Contract struct {
	Match   string      `json:"match"`
	Dialect string      `json:"dialect"`
	Mode    Mode        `json:"mode"`
	Key     KeyContract `json:"key"`
	// Batch is there if a request may be many operations, each with a key of its own.
	Batch *BatchContract `json:"batch,omitempty"`
	Scope struct {
		Principal []Source   `json:"principal"`
		Route     RouteScope `json:"route"`
		Headers   []string   `json:"headers,omitempty"`
		Body      []string   `json:"body,omitempty"`
	} `json:"scope"`
	Compared struct {
		Of      []string `json:"of"`
		Body    BodyMode `json:"body"`
		Include []string `json:"include,omitempty"`
		Exclude []string `json:"exclude,omitempty"`
		Headers []string `json:"headers,omitempty"`
	} `json:"compared"`
	Answers struct {
		Kept     []string `json:"kept"`           // and given again
		Released []string `json:"released"`       // they say that nothing happened: a retry runs
		Unknown  []string `json:"unknown"`        // kept, and given again marked unknown, unless it is found out: see Unknown below
		Echo     []string `json:"echo,omitempty"` // of the request in a recorded answer, as its own request has it
		// Rules go before the status; the first that fits counts.
		Rules []RuleContract `json:"rules,omitempty"`
	} `json:"answers"`
	// Unknown says what becomes of the retry of an operation that nobody knows the outcome of: "hold", it is told so; "rerun", it
	// runs; "probe", the API is asked whether it happened, and it runs only if it did not.
	Unknown string `json:"unknown"`
	// Wait is how long a duplicate of a running operation waits for its answer.
	Wait float64 `json:"wait"`
	// Lifetime is how long an answer is given again after it was recorded, ISO8601 the same as a duration of ISO 8601.
	Lifetime float64 `json:"lifetime"`
	ISO8601  string  `json:"lifetime_iso8601"`
	// Remembered is how long after that the key is still known as used, and a retry is told so and not run.
	Remembered float64 `json:"remembered"`
	// Failures is how long answers of 400 and above are given again, and remembered after that, if not as long as others.
	Failures *FailureContract  `json:"failures,omitempty"`
	Problems []ProblemContract `json:"problems"`
}

// A KeyContract is how a client says that two requests are the same operation.
type KeyContract struct {
	Required        bool     `json:"required"`
	From            []string `json:"from"`
	Format          Format   `json:"format"`
	MinLength       int      `json:"min_length"`
	MaxLength       int      `json:"max_length"`
	FirstSent       string   `json:"first_sent,omitempty"`
	FirstSentWithin float64  `json:"first_sent_within,omitempty"`
	// SequenceWindow is how far a number may be behind the greatest one that was used.
	SequenceWindow int `json:"sequence_window,omitempty"`
	// DeriveWindow is how long equal requests without a key are one operation. That is weaker than a key.
	DeriveWindow float64 `json:"derive_window,omitempty"`
}

// A RuleContract is what an answer means that has a header field with a value, or in its body of JSON a value at a pointer,
// whatever it is if none is given.
type RuleContract struct {
	Header  string `json:"header,omitempty"`
	Pointer string `json:"pointer,omitempty"`
	Value   string `json:"value,omitempty"`
	Means   string `json:"means"` // kept, released or unknown
}

// A BatchContract is where the operations of one request are, as JSON pointers: the array in the body and in the answer, the
// key in an item, and the status in its answer.
type BatchContract struct {
	Key     string `json:"key"`
	Items   string `json:"items"`
	Answers string `json:"answers"`
	Status  string `json:"status,omitempty"`
	Limit   int    `json:"limit"`
}

// A FailureContract is how long a failure is given again, and then remembered.
type FailureContract struct {
	Lifetime   float64 `json:"lifetime"`
	Remembered float64 `json:"remembered"`
}

// A ProblemContract is an answer that the API itself does not give.
type ProblemContract struct {
	Code   string `json:"code"`
	Status int    `json:"status"`
	Advice string `json:"advice"` // what to send next: same-key, new-key or none
	Detail string `json:"detail,omitempty"`
}

// Contracts returns the contract of every pattern, in the order of the configuration. Patterns whose mode is Off have none.
func (m *Middleware) Contracts() []Contract {
	all := []Contract{}
	for _, p := range m.routes.plans {
		if p.policy.Mode != Off {
			all = append(all, p.contract())
		}
	}
	return all
}

func (p *plan) contract() Contract {
	policy := &p.policy
	op := policy.Operation.WithDefaults()
	c := Contract{
		Match: p.pattern, Dialect: policy.Dialect, Mode: policy.Mode,
		Key: KeyContract{
			Required: policy.Key.Required, From: policy.Key.From, Format: policy.Key.Format, MinLength: policy.Key.MinLength,
			MaxLength: policy.Key.MaxLength, FirstSent: policy.Key.FirstSent, FirstSentWithin: policy.Key.FirstSentWithin.Seconds(),
			SequenceWindow: policy.Key.SequenceWindow, DeriveWindow: policy.Key.DeriveWindow.Seconds(),
		},
		Wait: p.operation.Wait.Seconds(), Lifetime: op.Retention.Seconds(), ISO8601: iso8601(op.Retention),
		Remembered: max(0, op.Tombstone).Seconds(), Unknown: unknownWord(op.Unknown), Problems: p.problems(),
	}
	if p.sequence != nil {
		c.Remembered = p.operation.Tombstone.Seconds()
	}
	if p.batch != nil {
		b := BatchContract(policy.Batch)
		c.Batch = &b
	}
	if k := policy.Outcomes.Failures; k != (refrain.Keep{}) {
		c.Failures = &FailureContract{
			Lifetime:   cmp.Or(k.Retention, op.Retention).Seconds(),
			Remembered: max(0, cmp.Or(k.Tombstone, op.Tombstone)).Seconds(),
		}
	}
	c.Scope.Principal, c.Scope.Route, c.Scope.Headers = policy.Principal, policy.RouteScope, policy.ScopeHeaders
	c.Scope.Body, c.Answers.Echo = policy.ScopeBody, policy.Echo
	f := &policy.Fingerprint
	c.Compared.Of, c.Compared.Body, c.Compared.Include, c.Compared.Exclude = f.Of, f.Body, f.Include, f.Exclude
	c.Compared.Headers = f.Headers
	c.Answers.Kept, c.Answers.Released, c.Answers.Unknown = policy.Outcomes.Final, policy.Outcomes.Release, policy.Outcomes.Unknown
	c.Answers.Rules = policy.Outcomes.rules()
	return c
}

// rules returns those for headers and bodies, in the order in which they count.
func (o *Outcomes) rules() (all []RuleContract) {
	means := map[Class]string{Final: "kept", Release: "released", Unknown: "unknown"}
	for _, r := range o.Headers {
		all = append(all, RuleContract{Header: r.Name, Value: r.Value, Means: means[r.Class]})
	}
	for _, r := range o.Bodies {
		all = append(all, RuleContract{Pointer: r.Pointer, Value: r.Value, Means: means[r.Class]})
	}
	return all
}

// problems returns those that a client of the pattern can meet.
func (p *plan) problems() (all []ProblemContract) {
	for k := problemNone + 1; k < problemKinds; k++ {
		switch {
		case (k == problemUnsupported) != (p.policy.Mode == Refuse), // which gives no other
			k == problemKeyMissing && !p.key.required,
			k == problemTooLate && p.firstSent == "", k == problemUnverified && p.policy.Verify == nil,
			k == problemRepeat && !p.speech.repeats, k == problemPassed && p.sequence == nil,
			k >= problemUnreachable && !p.gateway,
			(k == problemCallerUnproven || k == problemCallerUnclear) && !p.scope.asks():
			continue
		}
		w := &p.speech.words[k]
		all = append(all, ProblemContract{Code: w.code, Status: w.status, Advice: k.advice(), Detail: w.detail})
	}
	return all
}

func unknownWord(u refrain.UnknownPolicy) string { return [...]string{"hold", "rerun", "probe"}[u] }

// iso8601 writes a duration as ISO 8601 does, in whole seconds: PT30M, P7D.
func iso8601(d time.Duration) string {
	b := []byte("P")
	rest := int64(d / time.Second)
	for _, unit := range []struct {
		seconds int64
		name    string
	}{{86400, "D"}, {3600, "H"}, {60, "M"}, {1, "S"}} {
		if unit.name == "H" && rest > 0 {
			b = append(b, 'T')
		}
		if n := rest / unit.seconds; n > 0 {
			b = append(strconv.AppendInt(b, n, 10), unit.name...)
			rest -= n * unit.seconds
		}
	}
	if len(b) == 1 {
		return "PT0S"
	}
	return string(b)
}
