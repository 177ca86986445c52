package clients

import (
	"context"
	"fmt"
	"testing"
)

// A scene is a library that talks to the proxy over a network that can fail.
type scene struct {
	*testing.T
	client
	api    *api
	relay  *relay
	create func(context.Context, call) (result, error)
}

// each runs a test with every library.
func each(t *testing.T, test func(*scene)) {
	t.Parallel()
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &scene{T: t, client: c, api: newAPI()}
			s.relay = newRelay(t, startProxy(t, s.api))
			s.create = c.start(t, s.relay.url())
			test(s)
		})
	}
}

// must makes a call whose result is the library's, whichever it is.
func (s *scene) must(c call) result {
	s.Helper()
	r, err := s.create(s.Context(), c)
	if err != nil {
		s.Errorf("%+v: %v", c, err)
	}
	return r
}

func (s *scene) begin(c call) <-chan result {
	answer := make(chan result, 1)
	go func() { answer <- s.must(c) }()
	return answer
}

// ran checks how many payments the API has made.
func (s *scene) ran(want int) {
	s.Helper()
	if keys := s.api.keys(); len(keys) != want {
		s.Errorf("the API ran %d times, with the keys %q; want %d", len(keys), keys, want)
	}
}

func (s *scene) is(got, want result) {
	s.Helper()
	if got != want {
		s.Errorf("got %+v, want %+v", got, want)
	}
}

// refusal is the library's error about a key.
func (s *scene) refusal(status int, code string) result {
	return result{Error: s.idempotency(status), Code: code, Status: status}
}

// The answer is lost on its way to the client. The library tries again by itself, with the key that it made: one payment.
func TestStripeLostAnswer(t *testing.T) {
	each(t, func(s *scene) {
		s.relay.cuts.Store(1)
		s.is(s.must(call{Amount: 100}), result{ID: "pi_1", Replayed: true})
		s.ran(1)
		if keys := s.api.keys(); len(keys) > 0 && keys[0] == "" {
			s.Error("the API got no key")
		}
	})
}

// Two answers are lost, as many as the library stands.
func TestStripeTwoLostAnswers(t *testing.T) {
	each(t, func(s *scene) {
		s.relay.cuts.Store(2)
		s.is(s.must(call{Amount: 100, Key: "order-1"}), result{ID: "pi_1", Replayed: true})
		s.ran(1)
	})
}

// The API makes the payment and hangs up on the proxy: nobody knows, nothing runs again, and the library says whose error it is.
func TestStripeUnknownOutcome(t *testing.T) {
	each(t, func(s *scene) {
		s.api.drop.Store(true)
		s.is(s.must(call{Amount: 100, Key: "order-1"}), s.refusal(500, "idempotency_outcome_unknown"))
		s.ran(1)
	})
}

// A duplicate of a payment that is being made waits and gets its answer.
func TestStripeDuplicateInFlightWaits(t *testing.T) {
	each(t, func(s *scene) {
		open := s.api.hold()
		first := s.begin(call{Amount: 100, Key: "order-1"})
		<-s.api.news
		<-s.relay.joined
		second := s.begin(call{Amount: 100, Key: "order-1"})
		<-s.relay.joined
		open()
		s.is(<-first, result{ID: "pi_1"})
		s.is(<-second, result{ID: "pi_1", Replayed: true})
		s.ran(1)
	})
}

// Where duplicates do not wait, the library raises its error about keys, and the first call is none the worse.
func TestStripeDuplicateInFlight(t *testing.T) {
	each(t, func(s *scene) {
		open := s.api.hold()
		first := s.begin(call{Refund: true, Amount: 100, Key: "order-1"})
		<-s.api.news
		s.is(s.must(call{Refund: true, Amount: 100, Key: "order-1"}), s.refusal(409, "idempotency_key_in_use"))
		open()
		s.is(<-first, result{ID: "pi_1"})
		s.is(s.must(call{Refund: true, Amount: 100, Key: "order-1"}), result{ID: "pi_1", Replayed: true})
		s.ran(1)
	})
}

// A key for another amount: the library raises its error about keys, and does not try again.
func TestStripeMismatch(t *testing.T) {
	each(t, func(s *scene) {
		s.is(s.must(call{Amount: 100, Key: "order-1"}), result{ID: "pi_1"})
		s.is(s.must(call{Amount: 999, Key: "order-1"}), s.refusal(400, "idempotency_key_mismatch"))
		s.is(s.must(call{Amount: 100, Key: "order-1"}), result{ID: "pi_1", Replayed: true})
		s.ran(1)
	})
}

// Without any fault, each call is a payment.
func TestStripeCallsAreApart(t *testing.T) {
	each(t, func(s *scene) {
		for i := range 3 {
			s.is(s.must(call{Amount: 100}), result{ID: fmt.Sprintf("pi_%d", i+1)})
		}
		s.ran(3)
	})
}
