package mysql

import (
	"fmt"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

// withDefaults completes a new row of which the server has left out the columns that the statement did not name, as it does where
// binlog_row_image is MINIMAL: they have their defaults. dst takes the completed row.
//
// The binlog does not hold defaults. The catalogue's are those of the moment, so that they are read anew after each statement that
// alters the table; where one was changed while the stream was behind, older rows get the newer default.
func (g *tables) withDefaults(r *relation, dst, packed []byte) ([]byte, error) {
	row, err := r.table.Layout().Row(packed)
	if err != nil {
		return nil, err
	}
	if r.defaults == nil {
		if r.defaults, err = g.defaultsOf(r.table); err != nil {
			return nil, err
		}
	}
	defaults, err := r.table.Layout().Row(r.defaults)
	if err != nil {
		return nil, err
	}
	var b schema.Builder
	b.Reset(r.table.Layout(), dst)
	for i := range r.table.Columns {
		switch {
		case row.State(i) != schema.Absent:
			b.Copy(i, row, i)
		case defaults.State(i) != schema.Absent:
			b.Copy(i, defaults, i)
		default:
			return nil, &sources.Stop{Stop: changelog.Stop{
				Kind:   changelog.StopSchema,
				Detail: fmt.Sprintf("an INSERT into %s left out column %s, and its default is computed for each row", r.table.FullName(), r.table.Columns[i].Name),
				Remedy: "run: SET GLOBAL binlog_row_image = FULL; and when every session has it, " + g.s.resolveRemedy(),
			}}
		}
	}
	return b.Finish()
}

// defaultsOf packs the defaults of a table's columns; those that differ from row to row are absent.
func (g *tables) defaultsOf(t *schema.Table) ([]byte, error) {
	info, ok, err := g.c.table(t.Schema, t.Name)
	if err != nil {
		return nil, err
	}
	var b schema.Builder
	b.Reset(t.Layout(), nil)
	for i := range t.Columns {
		c := t.Columns[i]
		c.Missing, c.HasMissing = nil, false
		if !ok || !fillDefault(&c, &info) {
			continue
		}
		if c.HasMissing {
			b.Value(i, c.Missing)
		} else {
			b.Null(i)
		}
	}
	return b.Finish()
}
