// Package clients points the client libraries of vendors at refrain, as their users do.
package clients

import (
	"context"
	"errors"
	"net/http"
	"testing"

	stripe "github.com/stripe/stripe-go/v86"
)

// A call is one that a user of a library makes.
type call struct {
	Refund bool   `json:"refund"` // instead of a payment
	Amount int64  `json:"amount"`
	Key    string `json:"key"` // if empty, the library makes one
}

// A result is what the library makes of the answer.
type result struct {
	ID       string `json:"id"`
	Replayed bool   `json:"replayed"`
	Error    string `json:"error"` // the library's own type of it
	Code     string `json:"code"`
	Status   int    `json:"status"`
}

// A client is a library with its defaults: both try again twice.
type client struct {
	name        string
	idempotency func(status int) string // how it calls an error about a key
	start       func(t *testing.T, url string) func(context.Context, call) (result, error)
}

func clients() []client {
	return []client{
		{"stripe-go", func(int) string { return string(stripe.ErrorTypeIdempotency) }, startGo},
		{"stripe-node", nodeError, startNode},
	}
}

// nodeError is what stripe-node makes of an idempotency_error: it looks at the type after some statuses only.
func nodeError(status int) string {
	if status == http.StatusBadRequest {
		return "StripeIdempotencyError"
	}
	return "StripeAPIError"
}

func startGo(_ *testing.T, url string) func(context.Context, call) (result, error) {
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String(url), HTTPClient: &http.Client{}, LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})
	sc := stripe.NewClient("sk_test_1", stripe.WithBackends(&stripe.Backends{API: backend}))
	return func(ctx context.Context, c call) (result, error) {
		if c.Refund {
			p := &stripe.RefundCreateParams{Amount: &c.Amount, PaymentIntent: stripe.String("pi_1")}
			c.name(&p.Params)
			r, err := sc.V1Refunds.Create(ctx, p)
			if err != nil {
				return failure(err)
			}
			return result{ID: r.ID, Replayed: replayed(r.LastResponse)}, nil
		}
		p := &stripe.PaymentIntentCreateParams{Amount: &c.Amount, Currency: stripe.String("eur")}
		c.name(&p.Params)
		r, err := sc.V1PaymentIntents.Create(ctx, p)
		if err != nil {
			return failure(err)
		}
		return result{ID: r.ID, Replayed: replayed(r.LastResponse)}, nil
	}
}

// name sets the key of a call that has one.
func (c *call) name(p *stripe.Params) {
	if c.Key != "" {
		p.SetIdempotencyKey(c.Key)
	}
}

func replayed(r *stripe.APIResponse) bool { return r.Header.Get("Idempotent-Replayed") == "true" }

// failure returns what a library's error says, or the error if it is not one of the API's.
func failure(err error) (result, error) {
	var e *stripe.Error
	if !errors.As(err, &e) {
		return result{}, err
	}
	return result{Error: string(e.Type), Code: string(e.Code), Status: e.HTTPStatusCode}, nil
}
