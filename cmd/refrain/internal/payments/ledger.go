package payments

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// A Charge is money taken: one line of the ledger.
type Charge struct {
	ID string `json:"id"`
	Order
	Created time.Time `json:"created"`
}

// A Ledger counts charges: a file to which every charge appends one line. It may be used concurrently.
//
// A charge is in the file, in the hands of the operating system, before Append returns. It survives the death of any
// process; it is not synced, so it need not survive the loss of power.
type Ledger struct {
	mu      sync.Mutex
	file    *os.File
	charges []Charge
}

// OpenLedger opens the ledger at path, or makes an empty one. A torn last line, which no client was ever told of, is
// cut off; the error tells of a line that is unreadable in any other way.
func OpenLedger(path string) (*Ledger, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	l := &Ledger{file: f}
	if err := l.load(); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("reading the ledger %s: %w", path, err)
	}
	return l, nil
}

func (l *Ledger) load() error {
	data, err := io.ReadAll(l.file)
	if err != nil {
		return err
	}
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	for line := range bytes.Lines(whole) {
		var c Charge
		if err := json.Unmarshal(line, &c); err != nil {
			return fmt.Errorf("line %d: %w", len(l.charges)+1, err)
		}
		l.charges = append(l.charges, c)
	}
	if err := l.file.Truncate(int64(len(whole))); err != nil {
		return err
	}
	_, err = l.file.Seek(int64(len(whole)), io.SeekStart)
	return err
}

// Append takes the money: it writes one more charge and returns it. After an error nothing is charged.
func (l *Ledger) Append(o Order) (Charge, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := Charge{ID: fmt.Sprintf("ch_%06d", len(l.charges)+1), Order: o, Created: time.Now().UTC()}
	line, err := json.Marshal(c)
	if err != nil {
		return Charge{}, fmt.Errorf("encoding charge %s: %w", c.ID, err)
	}
	if err := l.write(append(line, '\n')); err != nil {
		return Charge{}, fmt.Errorf("writing charge %s: %w", c.ID, err)
	}
	l.charges = append(l.charges, c)
	return c, nil
}

// write appends a line whole or not at all.
func (l *Ledger) write(line []byte) error {
	n, err := l.file.Write(line)
	if err == nil || n == 0 {
		return err
	}
	end, seekErr := l.file.Seek(int64(-n), io.SeekCurrent)
	if seekErr != nil {
		return errors.Join(err, seekErr)
	}
	return errors.Join(err, l.file.Truncate(end))
}

// Charges returns every charge made so far, in order.
func (l *Ledger) Charges() []Charge {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.charges)
}

// Counts returns how many charges each reference has.
func (l *Ledger) Counts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := make(map[string]int, len(l.charges))
	for i := range l.charges {
		counts[l.charges[i].Reference]++
	}
	return counts
}

// Close closes the file.
func (l *Ledger) Close() error { return l.file.Close() }
