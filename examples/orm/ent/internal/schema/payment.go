// Package schema says what the shop keeps. ent makes the package beside it of this one, of which the shop needs all but enttest
// and hook:
//
//	go run entgo.io/ent/cmd/ent@v0.14.5 generate --target ./internal/ent ./internal/schema
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
)

// A Payment is a row of the table payments.
type Payment struct{ ent.Schema }

// Fields returns those besides the id.
func (Payment) Fields() []ent.Field { return []ent.Field{field.Int64("id"), field.Int64("amount")} }
