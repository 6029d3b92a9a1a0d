//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"context"
	"os"

	"cdc/materialize"
	"cdc/schema"
)

// tempDir is the folder for temporary files.
func tempDir(dir string) string {
	if dir == "" {
		return os.TempDir()
	}
	return dir
}

// listTables answers SHOW TABLES: the tables that the log can answer for at the session's moment.
func (s *Session) listTables(ctx context.Context, st *statement, asOf string, sink Sink) error {
	b := binder{log: s.log, resolve: s.o.Resolve, query: &Rewritten{original: st.query.original}}
	resolved, err := b.moment(ctx, asOf, -1)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, source := range s.log.Catalog().Sources() {
		for _, t := range s.log.Catalog().TablesAt(resolved.Cut.At(source.ID)) {
			if t.Table.Source == source.Name && t.Answerable() {
				rows = append(rows, []string{t.Table.Source, t.Table.Schema, t.Table.Name})
			}
		}
	}
	return s.texts(sink, Header{Moments: []materialize.Resolved{*resolved}}, []string{"source", "schema", "name"}, rows)
}

// oneText answers with one row of one column.
func (s *Session) oneText(sink Sink, name, value string) error {
	return s.texts(sink, Header{}, []string{name}, [][]string{{value}})
}

// texts answers with rows of text.
func (s *Session) texts(sink Sink, h Header, names []string, rows [][]string) error {
	h.AsOf = s.asOf
	for i, name := range names {
		h.Columns = append(h.Columns, schema.Column{ID: uint32(i + 1), Name: name, Kind: schema.Text, SQLType: "VARCHAR"})
	}
	layout, err := schema.NewLayout(h.Columns)
	if err != nil {
		return err
	}
	if err := sink.Header(&h); err != nil {
		return err
	}
	var b schema.Builder
	var arena []byte
	var ends []int
	for _, row := range rows {
		b.Reset(layout, arena)
		for i := range row {
			b.String(i, row[i])
		}
		if arena, err = b.Finish(); err != nil {
			return err
		}
		ends = append(ends, len(arena))
	}
	if len(ends) == 0 {
		return nil
	}
	return sink.Rows(arena, ends)
}
