package exactlyonce

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/refrainhttp"
)

// The flags with which the test's program is the service.
var (
	serviceKind   = flag.String("service", "", "be the service, on a database of this kind")
	servicePlace  = flag.String("place", "", "where its database is")
	serviceListen = flag.String("listen", "", "address to listen on")
	serviceStep   = flag.String("step", "", "the step at which it kills itself")
	serviceCall   = flag.Int64("call", 0, "the how many-th call that comes to this step")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *serviceKind == "" {
		os.Exit(m.Run())
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A service takes payments.
type service struct {
	*database
	calls atomic.Int64 // that came to the step
}

// The steps of a payment. A service can be told to kill itself right after one.
var steps = []string{"claimed", "begun", "paid", "finished", "committed", "rolled back"}

// at is where the service may die.
func (s *service) at(step string) {
	if step == *serviceStep && s.calls.Add(1) == *serviceCall {
		p, _ := os.FindProcess(os.Getpid())
		_ = p.Kill()
		select {}
	}
}

// policy lets an unknown operation run again: the new claim makes the old one stale, so that a transaction that finishes the old
// one fails.
var policy = refrainhttp.Policy{
	Key:       refrainhttp.Key{Required: true},
	Operation: refrain.Policy{Wait: -1, Lease: 300 * time.Millisecond, Unknown: refrain.Rerun},
}

func serve() error {
	d, err := kinds[*serviceKind].open(context.Background(), *servicePlace)
	if err != nil {
		return err
	}
	guard, err := refrain.New(d.store, refrain.Config{Secret: d.secret})
	if err != nil {
		return err
	}
	protect, err := refrainhttp.New(guard, refrainhttp.Config{Policy: policy})
	if err != nil {
		return err
	}
	s := &service{database: d}
	server := &http.Server{Addr: *serviceListen, Handler: protect.Wrap(http.HandlerFunc(s.pay)), ReadHeaderTimeout: time.Minute}
	return server.ListenAndServe()
}

// errDeclined is a payment that is taken back.
var errDeclined = errors.New("declined")

func (s *service) pay(w http.ResponseWriter, r *http.Request) {
	s.at("claimed")
	receipt := rand.Text()
	switch err := s.transact(r, receipt); {
	case errors.Is(err, errDeclined):
		http.Error(w, "try again", http.StatusTooManyRequests)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(receipt))
	}
}

// transact takes the payment and finishes its operation, in one transaction.
func (s *service) transact(r *http.Request, receipt string) error {
	ctx, op := r.Context(), refrain.FromContext(r.Context())
	tx, err := s.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	s.at("begun")
	id := op.ID()
	if _, err := tx.ExecContext(ctx, s.insert, id[:], receipt); err != nil {
		return err
	}
	s.at("paid")
	o, err := refrainhttp.NewOutcome(http.StatusCreated, nil, []byte(receipt))
	if err != nil {
		return err
	}
	if err := op.FinishTx(ctx, tx, o); err != nil {
		return err
	}
	s.at("finished")
	if r.Header.Get("Decline") != "" {
		if err := tx.Rollback(); err != nil {
			return err
		}
		s.at("rolled back")
		return errDeclined
	}
	err = tx.Commit()
	s.at("committed")
	return err
}
