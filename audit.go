package refrain

import "context"

// An Auditor is a Store that can tell what its promise rests on.
type Auditor interface {
	// Audit looks at the engine's own settings for durability and changes nothing. The error says that it could not look;
	// what it finds to be wrong is a Remark.
	Audit(ctx context.Context) ([]Remark, error)
}

// A Remark is what an audit says of one thing that it looked at.
type Remark struct {
	Grade   Grade
	Subject string // what was looked at, in a word or two
	Text    string // what it is and, unless it is good, what to do
}

// A Grade says how bad it is.
type Grade string

// The grades.
const (
	GradeOK    Grade = "ok"
	GradeWarn  Grade = "warn"  // it works, but not as well as it should
	GradeFault Grade = "FAULT" // it would not start, or not keep its promise
)
