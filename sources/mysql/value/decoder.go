package value

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"cdc/schema"
)

// ErrImage is the cause of every error about bytes that are not a row of the table: a damaged event, or one of another table version.
var ErrImage = errors.New("bytes are not a row of the table")

// Decoder turns the rows of one table into packed rows: row images of the binlog, or text rows of a SELECT. It is for one goroutine
// and allocates nothing once its buffers have grown.
type Decoder struct {
	fields  []field
	layout  *schema.Layout
	builder schema.Builder
	scratch scratch
	// json counts the JSON columns, each of which has a bit in a partial image.
	json int
}

// field is a column as decoding needs it.
type field struct {
	op   operation
	kind schema.Kind
	// size is the bytes of a fixed value, or of the word that tells the length of a variable one.
	size int
	// meta is the length of a BINARY, the digits of a fraction, the bits of a BIT, the precision and scale of a DECIMAL.
	meta   int
	cs     *charset
	labels *labels
	name   string
	sql    string
}

// operation is how a value is read from a row image.
type operation uint8

const (
	opTiny operation = iota
	opUTiny
	opShort
	opUShort
	opMedium
	opUMedium
	opLong
	opULong
	opLongLong
	opFloat
	opDouble
	opYear
	opDate
	opTime
	opDateTime
	opTimestamp
	opOldTime
	opOldDateTime
	opOldTimestamp
	opDecimal
	opBit
	opEnum
	opSet
	opBytes  // the bytes as they are
	opText   // text in a character set
	opPadded // BINARY, whose trailing zeros are not sent
	opINET
	opUUID
	opJSON
	opZip
)

// scratch is memory that decoding a value needs for a while.
type scratch struct {
	digits  []byte
	inflate inflater
}

// Compile makes a decoder of row images. The table's columns must be those of Column.Schema, in the same order.
func Compile(columns []Column, t *schema.Table) (*Decoder, error) {
	if len(columns) != len(t.Columns) || t.Layout() == nil || t.Layout().Columns() != len(columns) {
		return nil, fmt.Errorf("compile decoder of %s: %d columns for a table of %d", t.FullName(), len(columns), len(t.Columns))
	}
	d := &Decoder{fields: make([]field, len(columns)), layout: t.Layout()}
	for i := range columns {
		f, err := columns[i].compile()
		if err != nil {
			return nil, fmt.Errorf("compile decoder of %s: %w", t.FullName(), err)
		}
		if f.kind != t.Columns[i].Kind {
			return nil, fmt.Errorf("compile decoder of %s: column %q is %s in the table and %s in the source",
				t.FullName(), f.name, t.Columns[i].Kind, f.kind)
		}
		d.fields[i] = f
		if columns[i].Type == TypeJSON {
			d.json++
		}
	}
	return d, nil
}

// Image decodes one row image, the null bits and values of the columns whose bits are set in present, and appends the packed row to
// dst. The other columns are absent. It returns dst with the row and what follows the image; after an error dst is unchanged.
func (d *Decoder) Image(dst, present, image []byte) (row, rest []byte, err error) {
	return d.image(dst, present, image, nil)
}

// JSONUpdate is a column of a row image that holds, in place of its value, what has changed in it.
type JSONUpdate struct {
	Column int
	// Diffs is for ApplyJSONDiffs; it shares the image's memory.
	Diffs []byte
}

// PartialImage decodes the after image of a PARTIAL_UPDATE_ROWS. A bit of partial stands for each JSON column of the table, in the
// image or not, and says that the column is an update: it is absent from the row and appended to updates.
func (d *Decoder) PartialImage(
	dst, present, partial, image []byte, updates []JSONUpdate,
) (row, rest []byte, updated []JSONUpdate, err error) {
	if len(partial) != (d.json+7)/8 {
		return dst, image, updates, fmt.Errorf("%w: a bitmap of %d bytes for %d JSON columns", ErrImage, len(partial), d.json)
	}
	p := partialImage{bits: partial, updates: updates}
	row, rest, err = d.image(dst, present, image, &p)
	return row, rest, p.updates, err
}

// partialImage is what an image of a partial update has beyond others.
type partialImage struct {
	bits    []byte
	next    int // the next JSON column
	updates []JSONUpdate
}

// take reports whether the next JSON column is an update.
func (p *partialImage) take() bool {
	n := p.next
	p.next++
	return p.bits[n>>3]>>(n&7)&1 != 0
}

func (d *Decoder) image(dst, present, image []byte, partial *partialImage) (row, rest []byte, err error) {
	nulls, rest, err := d.bitmaps(present, image)
	if err != nil {
		return dst, image, err
	}
	b := &d.builder
	b.Reset(d.layout, dst)
	null := 0
	for i := range d.fields {
		f := &d.fields[i]
		update := partial != nil && f.op == opJSON && partial.take()
		if present[i>>3]>>(i&7)&1 == 0 {
			continue
		}
		isNull := nulls[null>>3]>>(null&7)&1 != 0
		null++
		n := 0
		switch {
		case isNull:
			b.Null(i)
		case update:
			n, err = partial.diffs(i, rest)
		default:
			n, err = d.value(f, i, rest)
		}
		if err != nil {
			return d.abandon(dst), image, d.failed(i, err)
		}
		rest = rest[n:]
	}
	row, err = b.Finish()
	if err != nil {
		return row, image, err
	}
	return row, rest, nil
}

// diffsLength is the size of the length before the differences (mysql-server, sql/json_diff.cc, Json_diff_vector::read_binary).
const diffsLength = 4

// diffs takes the differences that data begins with.
func (p *partialImage) diffs(column int, data []byte) (int, error) {
	if len(data) < diffsLength {
		return 0, errShort
	}
	size := uint64(binary.LittleEndian.Uint32(data))
	if size > uint64(len(data)-diffsLength) {
		return 0, errShort
	}
	end := diffsLength + int(size)
	p.updates = append(p.updates, JSONUpdate{Column: column, Diffs: data[diffsLength:end]})
	return end, nil
}

// bitmaps checks the bitmap of the columns and splits the null bits from the values.
func (d *Decoder) bitmaps(present, image []byte) (nulls, values []byte, err error) {
	n := len(d.fields)
	if len(present) != (n+7)/8 {
		return nil, nil, fmt.Errorf("%w: a bitmap of %d bytes for %d columns", ErrImage, len(present), n)
	}
	sent := 0
	for i, c := range present {
		if rest := n - 8*i; rest < 8 {
			c &= 1<<rest - 1 // MySQL sets bits beyond the last column
		}
		sent += bits.OnesCount8(c)
	}
	size := (sent + 7) / 8
	if len(image) < size {
		return nil, nil, fmt.Errorf("%w: null bits are cut off", ErrImage)
	}
	return image[:size], image[size:], nil
}

// abandon gives up the row that is being built and returns dst, whose memory may have moved, without it.
func (d *Decoder) abandon(dst []byte) []byte {
	row, _ := d.builder.Finish()
	return row[:len(dst)]
}

// failed names the column. The value is not shown: it may be a secret.
func (d *Decoder) failed(i int, err error) error {
	f := &d.fields[i]
	return fmt.Errorf("decode column %q of type %s: %w", f.name, f.sql, err)
}

var errShort = fmt.Errorf("%w: a value is cut off", ErrImage)

// value sets column i of the row to the value that data begins with and returns its size.
func (d *Decoder) value(f *field, i int, data []byte) (int, error) {
	if len(data) < f.size {
		return 0, errShort
	}
	b := &d.builder
	switch f.op {
	case opTiny:
		b.Int(i, int64(int8(data[0])))
	case opUTiny:
		b.Int(i, int64(data[0]))
	case opShort:
		b.Int(i, int64(int16(binary.LittleEndian.Uint16(data))))
	case opUShort:
		b.Int(i, int64(binary.LittleEndian.Uint16(data)))
	case opMedium:
		b.Int(i, int64(int32(little24(data)<<8)>>8))
	case opUMedium:
		b.Int(i, int64(little24(data)))
	case opLong:
		b.Int(i, int64(int32(binary.LittleEndian.Uint32(data))))
	case opULong:
		b.Int(i, int64(binary.LittleEndian.Uint32(data)))
	case opLongLong:
		b.Int(i, int64(binary.LittleEndian.Uint64(data)))
	case opFloat:
		b.Float32(i, math.Float32frombits(binary.LittleEndian.Uint32(data)))
	case opDouble:
		b.Float64(i, math.Float64frombits(binary.LittleEndian.Uint64(data)))
	case opYear:
		b.Int(i, yearOf(data[0]))
	case opDate, opTime, opDateTime, opTimestamp, opOldTime, opOldDateTime, opOldTimestamp:
		return f.size, d.temporal(f, i, data[:f.size])
	case opDecimal:
		return f.size, d.decimal(f, i, data[:f.size])
	case opBit:
		setBits(b, i, f.meta, bigUint(data[:f.size]))
	case opEnum, opSet:
		return f.size, f.labels.set(b, i, littleUint(data[:f.size]))
	default:
		return d.variable(f, i, data)
	}
	return f.size, nil
}

// variable sets a column whose value follows the word of its length.
func (d *Decoder) variable(f *field, i int, data []byte) (int, error) {
	length := littleUint(data[:f.size])
	if length > uint64(len(data)-f.size) {
		return 0, errShort
	}
	end := f.size + int(length)
	return end, d.stringValue(f, i, data[f.size:end])
}

// stringValue sets a column of a variable type to the value that its bytes stand for.
func (d *Decoder) stringValue(f *field, i int, v []byte) error {
	b := &d.builder
	switch f.op {
	case opText:
		return setText(b, i, f.cs, v)
	case opPadded:
		return setPadded(b, i, f.meta, v)
	case opINET:
		return setINET(b, i, f.meta, v)
	case opUUID:
		return setUUID(b, i, v)
	case opJSON:
		return d.jsonValue(i, v)
	case opZip:
		return d.zipped(f, i, v)
	}
	b.Bytes(i, v)
	return nil
}

func little24(data []byte) uint32 { return uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 }

// littleUint reads up to eight bytes, lowest first.
func littleUint(data []byte) uint64 {
	v := uint64(0)
	for i, c := range data {
		v |= uint64(c) << (8 * i)
	}
	return v
}

// bigUint reads up to eight bytes, highest first.
func bigUint(data []byte) uint64 {
	v := uint64(0)
	for _, c := range data {
		v = v<<8 | uint64(c)
	}
	return v
}
