package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/refrain-dev/refrain"
)

// TestNobodyWaitsForAFullConnection makes more calls than a connection takes, of a client that does not look at contexts: whoever
// comes then leaves when his time is up. So does each who takes a connection of his own, in which replicas confirm.
func TestNobodyWaitsForAFullConnection(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := openStore(t, server.URL(), Config{AuditEvery: time.Hour})
	waiting := openStore(t, server.URL(), Config{AuditEvery: time.Hour, Wait: 1, WaitTimeout: time.Hour})
	full := make(chan struct{})
	var begun, all sync.WaitGroup
	defer all.Wait()
	defer close(full)
	stuck := func(context.Context) (m rueidis.RedisMessage, err error) {
		<-full
		return m, nil
	}
	for range crowd {
		begun.Add(1)
		all.Go(func() {
			_, _ = s.bounded(within(t), func(ctx context.Context) (rueidis.RedisMessage, error) {
				begun.Done()
				return stuck(ctx)
			})
		})
	}
	begun.Wait()
	for what, store := range map[string]*Store{"a crowd": s, "replicas": waiting} {
		left := make(chan error, 1)
		ctx, cancel := context.WithCancel(context.Background())
		all.Go(func() {
			_, err := store.bounded(ctx, stuck)
			left <- err
		})
		cancel()
		select {
		case err := <-left:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got error %v", what, err)
			}
		case <-within(t).Done():
			t.Errorf("%s: the caller is still there", what)
		}
	}
}

// TestALateConfirmationIsWaitedFor makes calls that replicas confirm after each other one would have been given up, though the one
// before went wrong.
func TestALateConfirmationIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := openStore(t, startRedis(t).URL(), Config{AuditEvery: time.Hour, Wait: 1, WaitTimeout: time.Hour})
	for range 2 {
		_, _ = s.bounded(context.Background(), func(ctx context.Context) (m rueidis.RedisMessage, err error) {
			if end, bounded := ctx.Deadline(); bounded && time.Until(end) < time.Hour {
				t.Errorf("the call ends at %v, before the replicas may confirm it", end)
			}
			return m, errors.New("no")
		})
	}
}

// TestCloseEndsWhatWaitsForReplicas closes the store while a call waits for what does not come.
func TestCloseEndsWhatWaitsForReplicas(t *testing.T) {
	t.Parallel()
	s := openStore(t, startRedis(t).URL(), Config{AuditEvery: time.Hour, Wait: 1, WaitTimeout: time.Hour})
	begun, comes, ended := make(chan struct{}), make(chan struct{}), make(chan error, 2)
	defer close(comes)
	go func() {
		_, err := s.bounded(context.Background(), func(context.Context) (m rueidis.RedisMessage, err error) {
			close(begun)
			<-comes
			return m, nil
		})
		if !errors.Is(err, refrain.ErrClosed) {
			err = fmt.Errorf("the call: got error %w, want %w", err, refrain.ErrClosed)
		} else {
			err = nil
		}
		ended <- err
	}()
	<-begun
	go func() { ended <- s.Close() }()
	for range 2 {
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-within(t).Done():
			t.Fatal("it is still under way")
		}
	}
}
