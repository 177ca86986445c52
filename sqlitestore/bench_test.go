package sqlitestore

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/refrain-dev/refrain"
	"github.com/refrain-dev/refrain/storetest"
)

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) refrain.Store { return openStore(b, newFile(b), Config{}) })
}

// BenchmarkPlain is what BenchmarkStore/first is compared with: an INSERT and an UPDATE of rows of the same size, each in a
// transaction of its own, with one connection, which is the usual advice, and with one for each goroutine.
func BenchmarkPlain(b *testing.B) {
	for _, goroutines := range []int{1, 64} {
		for _, connections := range []int{1, 64} {
			if connections > goroutines {
				continue
			}
			b.Run(fmt.Sprintf("goroutines=%d/connections=%d", goroutines, connections), func(b *testing.B) {
				benchPlain(b, goroutines, connections)
			})
		}
	}
}

func benchPlain(b *testing.B, goroutines, connections int) {
	db, err := sql.Open("sqlite", "file:"+newFile(b)+"?_pragma=busy_timeout(60000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if _, err := db.Exec("CREATE TABLE plain (id BLOB NOT NULL UNIQUE, head BLOB NOT NULL, record BLOB) STRICT"); err != nil {
		b.Fatal(err)
	}
	insert, err := db.Prepare("INSERT INTO plain (id, head) VALUES (?, ?)")
	if err != nil {
		b.Fatal(err)
	}
	update, err := db.Prepare("UPDATE plain SET head = ?, record = ? WHERE id = ?")
	if err != nil {
		b.Fatal(err)
	}
	head, record := bytes.Repeat([]byte("h"), 95), bytes.Repeat([]byte("r"), 615)
	var done atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for range goroutines {
		all.Go(func() {
			for done.Add(1) <= int64(b.N) {
				var id refrain.ID
				_, _ = rand.Read(id[:])
				if _, err := insert.Exec(id[:], head); err != nil {
					b.Error(err)
					return
				}
				if _, err := update.Exec(head, record, id[:]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
