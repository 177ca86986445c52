// Package machine is what the embedded stores take from the machine they run on: a clock that never goes back, and what kind of
// file system a path lies in.
package machine
