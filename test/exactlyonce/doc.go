// Package exactlyonce kills a Go service that finishes its operations in its own transactions, again and again, and demands that
// the rows of its business and the operations that are done are the same, always.
package exactlyonce
