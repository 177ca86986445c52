//go:build race

package refrain

// worldRepeats is small where every step takes ten times as long.
const worldRepeats = 1
