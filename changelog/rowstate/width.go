package rowstate

import (
	"strings"

	"cdc/schema"
)

// toastThreshold is the heap width in bytes from which on Postgres may store a value out of line, and then leave it out of later
// changes. Its TOAST_TUPLE_THRESHOLD is 2,032 with 8 KiB pages; below it no value ever moves out, whatever toast_tuple_target says.
const toastThreshold = 2000

// Upper bounds of what a value takes on the heap, alignment and length word included.
const (
	tupleHeaderBytes = 32
	fixedValueBytes  = 24
	variableBytes    = 12
	nameBytes        = 64
	// rawFactor bounds the heap bytes of a value for each byte of its text: "[1,1]" as jsonb, "{0,0}" as float8[] and points
	// are wider on the heap than on the wire.
	rawFactor = 16
)

// Needs reports whether a later change of the row may leave a column out, so that the row must be kept. The row is packed in
// version t. Rows that cannot be read need nothing: whoever reads them next reports them.
func Needs(t *schema.Table, row []byte) bool {
	if t.Identity == schema.IdentityFull || len(t.KeyColumns()) == 0 {
		return false // the old row comes with each change
	}
	if len(row)*rawFactor+len(t.Columns)*fixedValueBytes+tupleHeaderBytes < toastThreshold {
		return false
	}
	r, err := t.Layout().Row(row)
	if err != nil {
		return false
	}
	return heapWidth(t, r) > toastThreshold
}

// heapWidth is an upper bound of the row's width on the source's heap.
func heapWidth(t *schema.Table, r schema.Row) int {
	width := tupleHeaderBytes + len(t.Columns)/8
	for i := range t.Columns {
		if r.State(i) != schema.Present {
			continue
		}
		width += valueWidth(&t.Columns[i], r, i)
	}
	return width
}

func valueWidth(c *schema.Column, r schema.Row, i int) int {
	if !c.Kind.Variable() {
		return fixedValueBytes
	}
	n := len(r.Bytes(i))
	switch c.Kind {
	case schema.Enum:
		return fixedValueBytes
	case schema.Text, schema.Bytes, schema.Decimal, schema.Bit:
		if c.SQLType == "name" {
			return nameBytes
		}
		return n + variableBytes
	case schema.JSON:
		if !strings.HasPrefix(c.SQLType, "jsonb") {
			return n + variableBytes
		}
	}
	return rawFactor*n + variableBytes
}
