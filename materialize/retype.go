package materialize

import (
	"cdc/schema"
)

// retyper converts rows across a change of a column's type that made the source store its values anew: they are read from their
// texts. A value that means nothing in the new type is absent in the converted row.
type retyper struct {
	from, to *schema.Table
	columns  []int // of from, by column of to; -1 where it has none
	text     []byte
}

func newRetyper(from, to *schema.Table) *retyper {
	c := &retyper{from: from, to: to, columns: make([]int, len(to.Columns))}
	for i := range to.Columns {
		c.columns[i] = from.ColumnByID(to.Columns[i].ID)
	}
	return c
}

// append appends the row, packed as the new version.
func (c *retyper) append(dst []byte, row schema.Row) ([]byte, error) {
	var b schema.Builder
	b.Reset(c.to.Layout(), dst)
	for i := range c.to.Columns {
		now, j := &c.to.Columns[i], c.columns[i]
		switch {
		case j < 0 && now.HasMissing:
			b.Value(i, now.Missing)
		case j < 0:
			b.Null(i)
		case row.State(j) != schema.Present || c.from.Columns[j].Kind == now.Kind:
			b.Copy(i, row, j)
		default:
			c.text = schema.AppendText(c.text[:0], &c.from.Columns[j], row, j)
			_ = schema.ParseText(&b, i, now, c.text) // leaves the column absent when it cannot
		}
	}
	return b.Finish()
}
