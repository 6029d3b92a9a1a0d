package parquet

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks/folder"
)

// writer lays changes into rows of a file.
type writer struct {
	shape  *shape
	w      *parquet.GenericWriter[any]
	row    []parquet.Row // one, used again
	text   []byte        // bytes that values of the row point to
	absent []byte        // JSON of what the row has no value for
	unfit  []byte        // JSON of what does not fit
}

// newCodec makes the compression of a sink's files. Its fastest level needs a quarter of the memory of the default one, 32 MiB.
func newCodec() compress.Codec { return &zstd.Codec{Level: zstd.SpeedFastest} }

func newWriter(file *folder.File, s *shape, codec compress.Codec) *writer {
	w := &writer{shape: s, row: []parquet.Row{make(parquet.Row, s.leaves())}}
	w.w = parquet.NewGenericWriter[any](file, s.schema, parquet.CreatedBy("cdc", "", ""), parquet.Compression(codec),
		parquet.WriteBufferSize(0), // the file has a buffer
		parquet.KeyValueMetadata("cdc.table", streamName(s.table)),
		parquet.KeyValueMetadata("cdc.table_version", strconv.FormatUint(uint64(s.table.Version), 10)))
	return w
}

// write adds a change.
func (c *writer) write(change *waitingChange) error {
	c.text, c.absent, c.unfit = c.text[:0], c.absent[:0], c.unfit[:0]
	row := c.row[0]
	required := func(leaf int, v parquet.Value) { row[leaf] = v.Level(0, 0, leaf) }
	c.text = append(append(c.text, byte(change.op)), c.shape.table.Source...)
	required(leafOp, parquet.ByteArrayValue(c.text[:1]))
	required(leafOffset, parquet.Int64Value(int64(change.offset)))
	required(leafCommit, parquet.Int64Value(int64(change.commit)))
	required(leafSource, parquet.ByteArrayValue(c.text[1:]))
	required(leafTime, parquet.Int64Value(int64(change.time)))
	switch change.image {
	case changelog.ImageFull:
		row[leafImage] = imageFull
	case changelog.ImageKey:
		row[leafImage] = imageKey
	default:
		row[leafImage] = parquet.NullValue().Level(0, 0, leafImage)
	}
	shown := change.after
	if shown.IsZero() {
		shown = change.before
	}
	columns := len(c.shape.names)
	c.add(row[leavesBefore:], columnSet{row: shown, leaf: leavesBefore, noteAbsent: !change.after.IsZero()})
	c.add(row[leavesBefore+columns:], columnSet{row: change.before, leaf: leavesBefore + columns, group: 1, prefix: columnBefore + "."})
	last := leavesBefore + 2*columns
	row[last] = jsonValue(c.absent, ']', last)
	row[last+1] = jsonValue(c.unfit, '}', last+1)
	if _, err := c.w.WriteRows(c.row); err != nil {
		return fmt.Errorf("write Parquet: %w", err)
	}
	if cap(c.text) > keepTextBytes {
		c.text = nil
	}
	return nil
}

// keepTextBytes is the largest buffer kept for the next row: not that of one enormous value.
const keepTextBytes = 1 << 20

var (
	imageFull = parquet.ByteArrayValue([]byte("full")).Level(0, 1, leafImage)
	imageKey  = parquet.ByteArrayValue([]byte("key")).Level(0, 1, leafImage)
)

// columnSet is a row that is to be laid into leaves.
type columnSet struct {
	row        schema.Row // zero when there is none
	leaf       int        // the first
	group      int        // the definition level of the group that holds the columns
	noteAbsent bool
	prefix     string // of column names in notes
}

// add sets the leaves of a row.
func (c *writer) add(dst []parquet.Value, s columnSet) {
	for i := range c.shape.names {
		v, level := parquet.NullValue(), 0
		if !s.row.IsZero() {
			v, level = c.value(s, i)
		}
		dst[i] = v.Level(0, level, s.leaf+i)
	}
}

// value is a column's value and its definition level; what cannot be said in the column is noted.
func (c *writer) value(s columnSet, i int) (parquet.Value, int) {
	column := &c.shape.table.Columns[i]
	switch s.row.State(i) {
	case schema.Null:
		return parquet.NullValue(), s.group
	case schema.Absent:
		if s.noteAbsent {
			c.absent = schema.AppendJSONString(append(c.absent, separator(c.absent, '[')), []byte(c.shape.names[i]))
		}
		return parquet.NullValue(), s.group
	}
	v, text, ok := value(c.text, column, s.row, i)
	c.text = text
	if ok {
		return v, s.group + 1
	}
	c.unfit = schema.AppendJSONString(append(c.unfit, separator(c.unfit, '{')), []byte(s.prefix+c.shape.names[i]))
	c.unfit = schema.AppendJSONString(append(c.unfit, ':'), unfitText(column, s.row, i))
	return parquet.NullValue(), s.group
}

// unfitText is a value as its source prints it, or \x and hexadecimal digits when that is not UTF-8.
func unfitText(c *schema.Column, r schema.Row, i int) []byte {
	text := schema.AppendText(nil, c, r, i)
	if utf8.Valid(text) {
		return text
	}
	return hex.AppendEncode([]byte(`\x`), text)
}

// separator is what comes before the next item of a JSON list or object.
func separator(text []byte, open byte) byte {
	if len(text) == 0 {
		return open
	}
	return ','
}

// jsonValue is a note, null when there is nothing in it.
func jsonValue(text []byte, end byte, leaf int) parquet.Value {
	if len(text) == 0 {
		return parquet.NullValue().Level(0, 0, leaf)
	}
	return parquet.ByteArrayValue(append(text, end)).Level(0, 1, leaf)
}
