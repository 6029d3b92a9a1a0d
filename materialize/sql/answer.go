package sql

import (
	"cdc/materialize"
	"cdc/schema"
)

// Header is what an answer says before its rows.
type Header struct {
	// Columns are the columns of the rows; schema.NewLayout of them is their layout.
	Columns []schema.Column
	// Notes say where the answer's types are not those of the source, and why.
	Notes []string
	// Moments are the moments that the answer was read at, with the cut of each.
	Moments []materialize.Resolved
	// AsOf is the session's moment after the text, empty when it is now.
	AsOf string
}

// Sink takes an answer. Header is called once, before any rows.
type Sink interface {
	Header(*Header) error
	// Rows takes packed rows: each ends at its entry of ends. They are valid until Rows returns.
	Rows(arena []byte, ends []int) error
}
