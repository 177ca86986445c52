package sidecar

import (
	"fmt"
	"strings"
	"testing"
)

func TestLogFindsTheAddresses(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"text": `level=INFO msg="refrain is serving" listen=127.0.0.1:4711 admin=127.0.0.1:4712 tier=strict`,
		"json": `{"level":"INFO","msg":"refrain is serving","listen":"127.0.0.1:4711","admin":"127.0.0.1:4712","tier":"strict"}`,
		"last": `listen=127.0.0.1:4711 admin=127.0.0.1:4712`,
	} {
		l := newLog()
		text := "level=INFO msg=opening listening=no\n" + line + "\n" + "level=INFO listen=1.2.3.4:5 admin=1.2.3.4:6\n"
		for _, b := range []byte(text) { // lines may come in pieces
			if n, err := l.Write([]byte{b}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		select {
		case <-l.listening:
		default:
			t.Errorf("%s: got no addresses", name)
		}
		if listen, admin := l.addresses(); listen != "127.0.0.1:4711" || admin != "127.0.0.1:4712" {
			t.Errorf("%s: got %q and %q", name, listen, admin)
		}
	}
}

func TestLogKeepsTheLastLines(t *testing.T) {
	t.Parallel()
	l := newLog()
	for i := range 100 {
		fmt.Fprintf(l, "line %d\n", i)
	}
	fmt.Fprint(l, "torn")
	got := strings.Split(l.tail(), "\n")
	if len(got) != keptLines+1 || got[0] != "line 80" || got[keptLines-1] != "line 99" || got[keptLines] != "torn" {
		t.Errorf("got %q", got)
	}
}
