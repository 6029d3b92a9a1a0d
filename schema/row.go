package schema

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// MaxColumns bounds the columns of a table (Postgres allows 1,600, MySQL 4,096).
const MaxColumns = 4096

// MaxRowBytes bounds one packed row; variable offsets are 32 bits wide.
const MaxRowBytes = 1<<31 - 1

// State says what a row holds for a column.
type State uint8

// States of a column in a row. Absent means the source did not send it (unchanged TOAST, minimal image); it is not null.
const (
	Absent State = iota
	Null
	Present
)

// ErrRow is the cause of every error about bytes that are not a row of their layout.
var ErrRow = errors.New("bytes are not a row of this table version")

// Layout says where each column of a table version lies in a packed row:
//
//	present  ⌈n/8⌉ bytes   bit i set: column i has a value
//	null     ⌈n/8⌉ bytes   bit i set: column i is null (neither bit: absent)
//	fixed    one slot a column, in column order, little-endian, unpadded; zero when there is no value
//	variable the bytes of the variable values, in column order
//
// The slot of a variable column holds the end of its bytes, counted from the start of the variable part; its start is the end of
// the previous variable column. A Layout is immutable and safe for concurrent use.
type Layout struct {
	kinds  []Kind
	slots  []int // offset of each column's slot
	before []int // slot of the previous variable column, or -1
	vary   []int // the variable columns
	check  []int // the fixed columns whose numbers may be no value
	bitmap int   // bytes of one bitmap
	fixed  int   // offset of the variable part
}

// NewLayout computes the layout of the columns.
func NewLayout(columns []Column) (*Layout, error) {
	if len(columns) > MaxColumns {
		return nil, fmt.Errorf("table has %d columns, more than %d", len(columns), MaxColumns)
	}
	n := len(columns)
	l := &Layout{kinds: make([]Kind, n), slots: make([]int, n), before: make([]int, n), bitmap: (n + 7) / 8}
	at, last := 2*l.bitmap, -1
	for i := range columns {
		k := columns[i].Kind
		if !k.Valid() {
			return nil, fmt.Errorf("column %q has unknown kind %d", columns[i].Name, k)
		}
		l.kinds[i], l.slots[i], l.before[i] = k, at, last
		if k.Variable() {
			l.vary = append(l.vary, i)
			last = at
		} else if kinds[k].checked {
			l.check = append(l.check, i)
		}
		at += kinds[k].size
	}
	l.fixed = at
	return l, nil
}

// Columns is the number of columns.
func (l *Layout) Columns() int { return len(l.kinds) }

// Kind is the kind of column i.
func (l *Layout) Kind(i int) Kind { return l.kinds[i] }

// Row checks b and returns a view over it. The row shares b's memory. It is the only way to make a Row from stored or received
// bytes; no accessor of the Row can read outside b afterwards, and a row has no other bytes than those that a Builder makes.
func (l *Layout) Row(b []byte) (Row, error) {
	if len(b) < l.fixed || len(b) > MaxRowBytes {
		return Row{}, fmt.Errorf("%w: %d bytes, need %d", ErrRow, len(b), l.fixed)
	}
	r := Row{l: l, b: b}
	full, err := r.checkBitmaps()
	if err == nil {
		err = r.checkVariable()
	}
	if err == nil {
		err = r.checkFixed()
	}
	if err == nil && !full {
		err = r.checkEmpty()
	}
	if err != nil {
		return Row{}, err
	}
	return r, nil
}

// checkBitmaps reports whether all columns are present.
func (r Row) checkBitmaps() (full bool, err error) {
	full = true
	present, null := r.b[:r.l.bitmap], r.b[r.l.bitmap:2*r.l.bitmap]
	for i, p := range present {
		mask := r.l.mask(i)
		if p&null[i] != 0 || (p|null[i])&^mask != 0 {
			return false, fmt.Errorf("%w: a column is both null and present, or is none", ErrRow)
		}
		full = full && p == mask
	}
	return full, nil
}

// checkVariable proves that the variable values follow each other to the end of the row and can be read.
func (r Row) checkVariable() error {
	l, start := r.l, uint32(0)
	size := uint32(len(r.b) - l.fixed)
	for _, i := range l.vary {
		end := binary.LittleEndian.Uint32(r.b[l.slots[i]:])
		if end < start || end > size {
			return fmt.Errorf("%w: column %d lies outside", ErrRow, i)
		}
		if k := l.kinds[i]; kinds[k].checked && r.State(i) == Present && !validValue(k, r.b[l.fixed+int(start):l.fixed+int(end)]) {
			return fmt.Errorf("%w: column %d holds no %s", ErrRow, i, k)
		}
		start = end
	}
	if start != size {
		return fmt.Errorf("%w: variable part is %d bytes, not %d", ErrRow, size, start)
	}
	return nil
}

// checkFixed proves that numbers which are made of parts have parts within their ranges.
func (r Row) checkFixed() error {
	for _, i := range r.l.check {
		if k := r.l.kinds[i]; r.State(i) == Present && !validValue(k, r.Slot(i)) {
			return fmt.Errorf("%w: column %d holds no %s", ErrRow, i, k)
		}
	}
	return nil
}

// checkEmpty proves that columns without a value have no bytes either.
func (r Row) checkEmpty() error {
	for i, k := range r.l.kinds {
		if r.State(i) == Present {
			continue
		}
		used := byte(0)
		if kinds[k].vary {
			used = byte(min(len(r.Bytes(i)), 1))
		} else {
			for _, c := range r.Slot(i) {
				used |= c
			}
		}
		if used != 0 {
			return fmt.Errorf("%w: column %d has no value but bytes", ErrRow, i)
		}
	}
	return nil
}

// mask has a bit set for each column in byte i of a bitmap.
func (l *Layout) mask(i int) byte {
	if rest := len(l.kinds) - i*8; rest < 8 {
		return 1<<rest - 1
	}
	return 0xff
}

// Row is a view over one packed row. The zero Row is no row. It owns nothing: it is valid while the bytes under it are.
type Row struct {
	l *Layout
	b []byte
}

// IsZero reports whether there is no row.
func (r Row) IsZero() bool { return r.l == nil }

// Raw is the packed bytes; shared, not to be changed.
func (r Row) Raw() []byte { return r.b }

// Layout is the layout that the row was made with.
func (r Row) Layout() *Layout { return r.l }

// State says what the row holds for column i.
func (r Row) State(i int) State {
	bit := byte(1) << (i & 7)
	if r.b[i>>3]&bit != 0 {
		return Present
	}
	if r.b[r.l.bitmap+i>>3]&bit != 0 {
		return Null
	}
	return Absent
}

// HasAbsent reports whether any column is absent.
func (r Row) HasAbsent() bool {
	for i := range r.l.bitmap {
		if r.b[i]|r.b[r.l.bitmap+i] != r.l.mask(i) {
			return true
		}
	}
	return false
}

// Slot is the bytes of a fixed value, shared. It is zeros when the column has no value.
func (r Row) Slot(i int) []byte {
	at := r.l.slots[i]
	return r.b[at : at+kinds[r.l.kinds[i]].size]
}

// Bool reads a Bool column.
func (r Row) Bool(i int) bool { return r.b[r.l.slots[i]] != 0 }

// Int reads a column of Int8 … Int64, Date, Time, Timestamp, TimestampTZ or a calendar kind, widened with its sign, or of
// Uint8 … Uint32.
func (r Row) Int(i int) int64 {
	return slotInt(r.l.kinds[i], r.Slot(i))
}

// Uint64 reads a Uint64 column.
func (r Row) Uint64(i int) uint64 { return binary.LittleEndian.Uint64(r.Slot(i)) }

// Float32 reads a Float32 column.
func (r Row) Float32(i int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(r.Slot(i)))
}

// Float64 reads a Float64 column.
func (r Row) Float64(i int) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(r.Slot(i)))
}

// TimeTZ reads a TimeTZ column: µs of the day and seconds west of UTC.
func (r Row) TimeTZ(i int) (micros int64, west int32) {
	s := r.Slot(i)
	return int64(binary.LittleEndian.Uint64(s)), int32(binary.LittleEndian.Uint32(s[8:]))
}

// Interval reads an Interval column.
func (r Row) Interval(i int) (micros int64, days, months int32) {
	s := r.Slot(i)
	return int64(binary.LittleEndian.Uint64(s)), int32(binary.LittleEndian.Uint32(s[8:])), int32(binary.LittleEndian.Uint32(s[12:]))
}

// Bytes is the value of a variable column, shared; empty when the column has no value.
func (r Row) Bytes(i int) []byte {
	start := uint32(0)
	if p := r.l.before[i]; p >= 0 {
		start = binary.LittleEndian.Uint32(r.b[p:])
	}
	end := binary.LittleEndian.Uint32(r.b[r.l.slots[i]:])
	return r.b[r.l.fixed+int(start) : r.l.fixed+int(end)]
}

// Value is the packed value of column i, of either part, shared.
func (r Row) Value(i int) []byte {
	if kinds[r.l.kinds[i]].vary {
		return r.Bytes(i)
	}
	return r.Slot(i)
}
