package parquet

import (
	"cdc/changelog"
	"cdc/schema"
)

// messageTable stands for a table of a source's logical messages, so that they go the way of rows.
type messageTable struct {
	table  *schema.Table
	row    schema.Builder
	packed []byte
}

func newMessageTable(source string) (*messageTable, error) {
	t := &schema.Table{Source: source, Schema: "cdc", Name: "message", Columns: []schema.Column{
		{ID: 1, Name: "prefix", Kind: schema.Text, SQLType: "text", NotNull: true},
		{ID: 2, Name: "content", Kind: schema.Bytes, SQLType: "bytea", NotNull: true},
	}}
	return &messageTable{table: t}, t.Prepare()
}

// messageRow turns a logical message into a row of its source's table of them.
func (f *format) messageRow(m *changelog.UnitMeta, c *changelog.Change) error {
	t := f.messages[m.Source]
	if t == nil {
		var err error
		if t, err = newMessageTable(f.o.Source(m.Source)); err != nil {
			return err
		}
		if f.messages == nil {
			f.messages = map[changelog.SourceID]*messageTable{}
		}
		f.messages[m.Source] = t
	}
	t.row.Reset(t.table.Layout(), t.packed[:0])
	t.row.Bytes(0, c.Prefix)
	t.row.Bytes(1, c.Content)
	var err error
	if t.packed, err = t.row.Finish(); err != nil {
		return err
	}
	c.Table = t.table
	c.After, err = t.table.Layout().Row(t.packed)
	return err
}
