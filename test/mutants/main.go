// Command mutants plants known bugs into a copy of the tree, one at a time, and demands that a named test fails for each.
//
//	go run ./test/mutants            all of them
//	go run ./test/mutants stale      those whose name contains a word
//
// A bug is a file in the folder planted; mutant.go describes its form. The exit status is 1 if a bug survives its test, does
// not compile, or no longer fits the code, or if its test fails without it.
package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

//go:embed planted/*.txt
var planted embed.FS

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	survived, err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if err != nil || survived > 0 {
		os.Exit(1)
	}
}

func run(ctx context.Context, words []string) (survived int, err error) {
	mutants, err := load(planted)
	if err != nil {
		return 0, err
	}
	mutants = choose(mutants, words)
	if len(mutants) == 0 {
		return 0, fmt.Errorf("no bug is called like %q", words)
	}
	t, err := newTree(ctx)
	if err != nil {
		return 0, err
	}
	defer t.remove()
	for i, m := range mutants {
		fmt.Fprintf(os.Stderr, "[%d/%d] %s\n", i+1, len(mutants), m.Name)
		start := time.Now()
		f := t.try(ctx, m)
		if ctx.Err() != nil {
			return survived, ctx.Err()
		}
		if f.verdict != caught {
			survived++
		}
		fmt.Printf("%-9s %6.1fs  %-32s %s\n", f.verdict, time.Since(start).Seconds(), m.Name, m.Description)
		if f.detail != "" {
			fmt.Println(indent(f.detail))
		}
	}
	fmt.Printf("%d of %d planted bugs caught\n", len(mutants)-survived, len(mutants))
	return survived, nil
}

// choose returns the mutants whose name contains one of the words, all if there are none.
func choose(all []mutant, words []string) []mutant {
	if len(words) == 0 {
		return all
	}
	var some []mutant
	for _, m := range all {
		for _, w := range words {
			if strings.Contains(m.Name, w) {
				some = append(some, m)
				break
			}
		}
	}
	return some
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ")
}
