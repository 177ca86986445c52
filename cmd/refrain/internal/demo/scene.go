package demo

import (
	"context"
	"sync"
	"time"
)

// A scene is one run: a storm against a URL, with an outage in the middle, and the stage behind it all.
type scene struct {
	name   string
	stage  *stage
	url    string
	line   *line
	outage func(context.Context) error
}

// inFlightAtOutage is how many orders the API works on, at least, when the outage strikes.
const inFlightAtOutage = 3

// storm runs a scene, and tallies it once the API is at rest.
func (d *demo) storm(ctx context.Context, sc *scene) (Tally, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	transport := sc.line.transport()
	defer transport.CloseIdleConnections()
	s := &storm{url: sc.url, transport: transport, operations: d.operations}
	outages := make(chan int)
	go func() {
		n, err := sc.strike(ctx, s)
		if err != nil {
			cancel(err)
		}
		outages <- n
	}()
	stopWatching := d.watch(sc, s)
	told := s.blow(ctx)
	n := <-outages
	stopWatching()
	if ctx.Err() != nil {
		return Tally{}, context.Cause(ctx)
	}
	if err := sc.stage.settle(ctx); err != nil {
		return Tally{}, err
	}
	return s.tally(told, sc.stage, n), nil
}

// strike brings the outage about in the middle of the storm, when enough is in flight, and returns how many there were.
func (sc *scene) strike(ctx context.Context, s *storm) (int, error) {
	all := int64(len(s.operations))
	for s.started.Load() < all/2 || sc.stage.api.InFlight() < inFlightAtOutage {
		if s.finished.Load() == all {
			return 0, nil
		}
		select {
		case <-ctx.Done():
			return 0, nil
		case <-time.After(time.Millisecond):
		}
	}
	if err := sc.outage(ctx); err != nil {
		return 0, err
	}
	return 1, nil
}

// watch shows the storm's progress until it is stopped.
func (d *demo) watch(sc *scene, s *storm) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	show := func(line func(string, ...any)) {
		charges := len(sc.stage.ledger.Charges())
		line("  %s: %d of %d operations, %d charges", sc.name, s.finished.Load(), len(s.operations), charges)
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			show(d.progress.show)
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return func() {
		cancel()
		watching.Wait()
		show(d.progress.say)
	}
}

// tally sets what was told against the stage's ledger, and adds the evidence.
func (s *storm) tally(told []heard, st *stage, outages int) Tally {
	t := count(s.operations, told, st.ledger.Charges())
	t.DuplicatesSent = int(s.evidence.Duplicates.Load())
	t.DuplicatesStopped = max(0, t.DuplicatesSent-t.Duplicates)
	t.FirstTries, t.Replays = latencyOf(s.first), latencyOf(s.again)
	t.Faults = Faults{
		RequestsSent: int(s.evidence.Sent.Load()),
		AnswersCut:   int(s.evidence.HangUps.Load() + s.evidence.Lost.Load()),
		GaveUp:       int(s.evidence.Timeouts.Load()),
		Outages:      outages,
		InFlight:     int(s.evidence.Broken.Load()),
	}
	return t
}
