package binlog

import (
	"fmt"
	"math/bits"
)

// RowsKind is what a row event does to its rows.
type RowsKind uint8

// Kinds of row events.
const (
	RowsWrite  RowsKind = iota + 1 // each row has an after image
	RowsUpdate                     // each row has a before and an after image
	RowsDelete                     // each row has a before image
)

// RowsFlags are the flags of a row event.
type RowsFlags uint16

// Flags of row events.
const (
	// RowsEndStatement is set in a statement's last row event: its table maps hold no longer.
	RowsEndStatement      RowsFlags = 1 << 0
	RowsNoForeignKeys     RowsFlags = 1 << 1
	RowsRelaxedUniqueness RowsFlags = 1 << 2
	RowsComplete          RowsFlags = 1 << 3
)

// DummyTable is the table of a row event without rows that only ends a statement.
const DummyTable = 0xffffff

// Rows is a row event of any version, compressed or not.
type Rows struct {
	Kind RowsKind
	// Table is the number by which the TABLE_MAP before it names the table.
	Table uint64
	Flags RowsFlags
	// Partial says that after images may hold JSON values as differences (PARTIAL_UPDATE_ROWS).
	Partial bool
	// Width is how many columns the table has.
	Width int
	// Before and After have a bit for each column, the first one lowest, that says whether the images hold it. Before is nil
	// when there are no before images, After when there are no after images.
	Before, After []byte
	// Data are the images.
	Data []byte
}

// columnsMax is how many columns a table can have, on both servers.
const columnsMax = 4096

// kinds of row events by their type.
var rowsKinds = [256]struct {
	kind       RowsKind
	extra      bool // version 2: more data between header and width
	compressed bool
}{
	TypeWriteRowsV1:  {kind: RowsWrite},
	TypeUpdateRowsV1: {kind: RowsUpdate},
	TypeDeleteRowsV1: {kind: RowsDelete},
	TypeWriteRows:    {kind: RowsWrite, extra: true},
	TypeUpdateRows:   {kind: RowsUpdate, extra: true},
	TypeDeleteRows:   {kind: RowsDelete, extra: true},

	TypePartialUpdateRows: {kind: RowsUpdate, extra: true},

	TypeMariaWriteRowsCompressedV1:  {kind: RowsWrite, compressed: true},
	TypeMariaUpdateRowsCompressedV1: {kind: RowsUpdate, compressed: true},
	TypeMariaDeleteRowsCompressedV1: {kind: RowsDelete, compressed: true},
	TypeMariaWriteRowsCompressed:    {kind: RowsWrite, extra: true, compressed: true},
	TypeMariaUpdateRowsCompressed:   {kind: RowsUpdate, extra: true, compressed: true},
	TypeMariaDeleteRowsCompressed:   {kind: RowsDelete, extra: true, compressed: true},
}

// IsRows tells whether ParseRows reads events of the type.
func (t Type) IsRows() bool { return rowsKinds[t].kind != 0 }

// ParseRows reads a row event up to its images (mysql-server, libs/mysql/binlog/event/rows_event.h: Rows_event). Those of a
// compressed one are valid until z is used again.
func ParseRows(e Event, z *Inflater) (Rows, error) {
	known := rowsKinds[e.Type]
	if known.kind == 0 {
		return Rows{}, wrongType(e.Type, "rows")
	}
	r := reader{b: e.Body}
	rows := Rows{Kind: known.kind, Partial: e.Type == TypePartialUpdateRows, Table: r.u48(), Flags: RowsFlags(r.u16())}
	if known.extra {
		// Which partition the rows are in, and what NDB wants to know. The size counts itself.
		r.take(int(r.u16()) - 2)
	}
	width := r.packed()
	if width == 0 || width > columnsMax {
		r.fail()
		return Rows{}, r.err(e.Type)
	}
	rows.Width = int(width)
	first := r.take((rows.Width + 7) / 8)
	switch known.kind {
	case RowsWrite:
		rows.After = first
	case RowsDelete:
		rows.Before = first
	case RowsUpdate:
		rows.Before, rows.After = first, r.take(len(first))
	}
	rows.Data = r.rest()
	if err := r.err(e.Type); err != nil || !known.compressed {
		return rows, err
	}
	data, err := z.inflate(e.Type, rows.Data)
	rows.Data = data
	return rows, err
}

// Image is one row image.
type Image struct {
	// After tells an after image from a before image.
	After bool
	// Present has a bit for each column of the table that says whether the image holds it.
	Present []byte
	// Partial has a bit for each JSON column of the table, present or not, that says whether the image holds a difference
	// (ParseJSONDiff) in place of the value. Nil when all values are whole.
	Partial []byte
	// Data begins with a bit for each present column that says whether it is null, followed by the values of those that are not.
	// Only they tell where the image ends; what follows it is the rest of the event.
	Data []byte
}

// Images walks through the images of a row event. Whoever decodes an image says where it ends:
//
//	images := rows.Images(jsonColumns)
//	for images.Next() {
//		row, rest, err := decoder.Image(dst, images.Image.Present, images.Image.Data)
//		…
//		images.Skip(rest)
//	}
//	if err := images.Err(); err != nil {
type Images struct {
	Image Image

	rows Rows
	rest []byte
	json int
	// begun is set by the first Next, pending from Next until Skip, half when an after image is next.
	begun, pending, half, bad bool
}

// Images begins at the first image. jsonColumns is how many columns of the table are JSON; only partial updates need it.
func (rows *Rows) Images(jsonColumns int) Images {
	return Images{rows: *rows, rest: rows.Data, json: jsonColumns, half: rows.Kind == RowsWrite}
}

// Next goes to the next image and tells whether there is one. An update's images come in turns, before image first.
func (im *Images) Next() bool {
	if im.bad || im.pending {
		im.bad = true
		return false
	}
	if len(im.rest) == 0 && (im.begun || !im.invisible()) {
		im.bad = im.rows.Kind == RowsUpdate && im.half // half an update is missing
		return false
	}
	im.begun = true
	im.Image = Image{After: im.half, Present: im.rows.Before, Data: im.rest}
	if im.half {
		im.Image.Present = im.rows.After
		if im.rows.Partial && !im.shared() {
			return false
		}
	}
	if im.rows.Kind == RowsUpdate {
		im.half = !im.half
	}
	im.pending = true
	return true
}

// invisible tells whether the event is one row that takes no bytes: a server that logs minimal images writes an INSERT so that names
// no column, in a table without a key. MySQL refuses to write two of them into an event.
func (im *Images) invisible() bool {
	return len(im.rows.Data) == 0 && im.rows.Kind == RowsWrite && im.rows.Table != DummyTable && countBits(im.rows.After, im.rows.Width) == 0
}

// partialJSON is the bit of binlog_row_value_options that says that bits for partial values follow.
const partialJSON = 1

// shared reads what a PARTIAL_UPDATE_ROWS has before each after image (mysql-server, sql/log_event.h: Update_rows_log_event).
func (im *Images) shared() bool {
	r := reader{b: im.rest}
	options := r.packed()
	if options&^partialJSON != 0 {
		r.fail()
	}
	if options&partialJSON != 0 {
		im.Image.Partial = r.take((im.json + 7) / 8)
	}
	if r.bad || len(r.b) == 0 {
		im.bad = true
		return false
	}
	im.Image.Data = r.b
	return true
}

// Skip says that the image at hand ended where rest begins. rest must be the end of the image's data, which is at least the bits
// for nulls shorter.
func (im *Images) Skip(rest []byte) {
	used := len(im.Image.Data) - len(rest)
	if !im.pending || used < (countBits(im.Image.Present, im.rows.Width)+7)/8 {
		im.bad = true
		return
	}
	im.pending = false
	im.rest = im.Image.Data[used:]
	im.bad = used == 0 && len(im.Image.Data) > 0 // would never end
}

// Err tells whether the images ended where the event did.
func (im *Images) Err() error {
	if im.bad || im.pending {
		return fmt.Errorf("read row images: %w", ErrMalformed)
	}
	return nil
}

func countBits(b []byte, width int) int {
	n := 0
	for i, c := range b {
		if left := width - i*8; left < 8 {
			c &= 1<<left - 1
		}
		n += bits.OnesCount8(c)
	}
	return n
}

// JSONOp is what a JSON difference does at its path.
type JSONOp uint8

// Operations of JSON differences.
const (
	JSONReplace JSONOp = 0 // the value at the path
	JSONInsert  JSONOp = 1 // a member, or an element before the path's
	JSONRemove  JSONOp = 2
)

// JSONDiff is one difference of a partial JSON value.
type JSONDiff struct {
	Op JSONOp
	// Path is where in the document, like $.a[1], in UTF-8.
	Path []byte
	// Value is MySQL's binary JSON; nil for JSONRemove.
	Value []byte
}

// ParseJSONDiff reads the first difference of a partial value, which is a sequence of them, and returns the others (mysql-server,
// sql/json_diff.cc: Json_diff_vector::read_binary). In an image the sequence has its length before it in four bytes.
func ParseJSONDiff(b []byte) (d JSONDiff, rest []byte, err error) {
	r := reader{b: b}
	d.Op = JSONOp(r.u8())
	if d.Op > JSONRemove {
		r.fail()
	}
	d.Path = r.packedBytes()
	if d.Op != JSONRemove {
		d.Value = r.packedBytes()
	}
	if r.bad {
		return JSONDiff{}, nil, fmt.Errorf("read JSON difference: %w", ErrMalformed)
	}
	return d, r.b, nil
}
