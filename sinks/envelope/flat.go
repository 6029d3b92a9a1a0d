package envelope

import (
	"fmt"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks"
	"cdc/sinks/connect"
)

// Fields of the flat form besides the row's columns.
const (
	flatDeleted = "__deleted"
	flatVersion = "__version"
)

var flatTrue, flatFalse = []byte("true"), []byte("false")

// flatSchema is the row with what Debezium's transformation ExtractNewRecordState adds when it rewrites deletes
// (delete.tombstone.handling.mode is rewrite-with-tombstone, or rewrite without tombstones), and with the change's offset in the log: of
// two messages with one key, that with the larger version is the newer. Both fields are optional, as those that the transformation
// adds: a registry then takes the schema after one that has not got them.
func flatSchema(row *connect.Schema) (*connect.Schema, error) {
	for i := range row.Fields {
		if name := row.Fields[i].Name; name == flatDeleted || name == flatVersion {
			return nil, &sinks.Stop{
				Kind: changelog.StopSchema, Detail: fmt.Sprintf("column %q has the name of a field that the flat formats add", name),
				Remedy: "leave the table out of the sink, and publish it, if it is wanted, by a sink of another name, topic_prefix and format",
			}
		}
	}
	fields := append(row.Fields[:len(row.Fields):len(row.Fields)],
		connect.Field{Name: flatDeleted, Schema: optional(connect.String)},
		connect.Field{Name: flatVersion, Schema: optional(connect.Int64)})
	return &connect.Schema{Type: connect.Struct, Name: row.Name, Fields: fields}, nil
}

// writeFlat writes the new row, or of a delete as much of the old one as the source has sent.
func (e *Encoder) writeFlat(t *table, before, after schema.Row) {
	row, h, deleted := after, unavailableHole, flatFalse
	if row.IsZero() {
		row, h, deleted = before, blankHole, flatTrue
	}
	e.form.BeginStruct(t.flat)
	writeFields(e.form, t.columns, row, h)
	w := structWriter{out: e.form, s: t.flat, at: len(t.columns)}
	w.text(deleted)
	w.int(int64(e.change.Offset))
	e.form.EndStruct(t.flat)
}
