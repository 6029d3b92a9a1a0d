package envelope

import (
	"context"
	"fmt"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks"
	"cdc/sinks/connect"
)

// The flat formats publish the row alone, as Debezium's transformation ExtractNewRecordState does with
// delete.tombstone.handling.mode=rewrite: a delete is a message, too, that has the old row as far as the source sends it (by
// Debezium's rule for images of the key alone: other columns null, or blank where null is not allowed), no tombstone follows, and
// truncates are left out. Transactions and logical messages stay what they are. To the row are added
//
//   - __deleted, "true" or "false";
//   - __version, which grows from change to change of a log, so that a reader who sees two rows of a key knows the newer one.
const (
	deletedField = "__deleted"
	versionField = "__version"
)

// Texts of the field __deleted.
var (
	textTrue  = []byte("true")
	textFalse = []byte("false")
)

// flat reports whether messages are rows alone.
func (o *Options) flat() bool { return o.Format == FlatJSON || o.Format == FlatAvro }

// flatten is the schema of a row with the fields that are added. They are optional, as the transformation's are: a reader of the
// schema without them can go on.
func flatten(row *connect.Schema) (*connect.Schema, error) {
	for i := range row.Fields {
		if name := row.Fields[i].Name; name == deletedField || name == versionField {
			return nil, &sinks.Stop{
				Kind: changelog.StopSchema, Detail: fmt.Sprintf("column %q has the name of a field that the flat formats add", name),
				Remedy: "choose another format, rename the column, or leave the table out of the sink",
			}
		}
	}
	fields := make([]connect.Field, 0, len(row.Fields)+2)
	fields = append(append(fields, row.Fields...),
		connect.Field{Name: deletedField, Schema: optional(connect.String)},
		connect.Field{Name: versionField, Schema: optional(connect.Int64)})
	return &connect.Schema{Type: connect.Struct, Name: row.Name, Fields: fields}, nil
}

// publishFlat hands over the message of a change whose key and headers are set. One of before and after is no row.
func (e *Encoder) publishFlat(ctx context.Context, t *table, before, after schema.Row, part uint8) error {
	row, deleted, h := after, textFalse, unavailableHole
	if after.IsZero() {
		row, deleted, h = before, textTrue, blankHole
	}
	s := t.flat
	if err := e.form.Begin(ctx, e.value[:0], t.topic, connect.Value, s); err != nil {
		return err
	}
	e.form.BeginStruct(s)
	writeFields(e.form, t.columns, row, h)
	w := structWriter{out: e.form, s: s, at: len(t.columns)}
	w.text(deleted)
	w.int(int64(e.change.Offset))
	e.form.EndStruct(s)
	return e.finish(t, part)
}
