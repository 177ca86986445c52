// Package crashtest holds the tests that kill, pause and cut off the real program with a real ledger behind it.
//
// REFRAIN_CRASH_CYCLES says how many cycles they run; without it, as many as a test run can afford. REFRAIN_SEED
// repeats a run as far as the operating system's scheduler lets it.
package crashtest
