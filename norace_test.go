//go:build !race

package refrain

// worldRepeats is how many requests are sent again.
const worldRepeats = 2
