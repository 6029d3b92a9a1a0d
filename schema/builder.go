package schema

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Builder packs rows of one layout at a time. Columns are set in ascending order; a column that is skipped is absent. A Builder
// is reused: Reset, set columns, Finish. Setting columns out of order, or a value of another kind, is a bug of the caller and
// makes Finish fail. It is for one goroutine.
type Builder struct {
	l    *Layout
	base int // where the row starts in buf
	buf  []byte
	next int // first column not set yet
	end  uint32
	err  error
}

// Reset starts a row that will be appended to dst (which may be nil) and takes dst over until Finish.
func (b *Builder) Reset(l *Layout, dst []byte) {
	b.l, b.base, b.next, b.end, b.err = l, len(dst), 0, 0, nil
	b.buf = slices.Grow(dst, l.fixed)[:len(dst)+l.fixed]
	clear(b.buf[len(dst):])
}

// Finish completes the row and returns dst with it appended, and gives dst back to the caller.
func (b *Builder) Finish() ([]byte, error) {
	b.skipTo(len(b.l.kinds))
	buf := b.buf
	b.buf = nil
	if b.err != nil {
		return buf[:b.base], b.err
	}
	if len(buf)-b.base > MaxRowBytes {
		return buf[:b.base], fmt.Errorf("pack row: %d bytes, more than %d", len(buf)-b.base, MaxRowBytes)
	}
	return buf, nil
}

// Null sets column i to null.
func (b *Builder) Null(i int) {
	if !b.place(i) {
		return
	}
	b.buf[b.base+b.l.bitmap+i>>3] |= 1 << (i & 7)
	b.close(i)
}

// Bool sets a Bool column.
func (b *Builder) Bool(i int, v bool) {
	if s := b.slot(i, Bool); s != nil && v {
		s[0] = 1
	}
}

// Int sets a column of any integer kind, Date, Time, Timestamp, TimestampTZ or a calendar kind. The value must fit the kind.
func (b *Builder) Int(i int, v int64) {
	if !b.place(i) {
		return
	}
	k := b.l.kinds[i]
	if !kinds[k].integer {
		b.fail(i, "an integer")
		return
	}
	// Layout.Row refuses such a value, so it must not get into a log.
	if kinds[k].checked && !validCalendar(k, v) {
		b.fail(i, "this value")
		return
	}
	at := b.base + b.l.slots[i]
	switch kinds[k].size {
	case 1:
		b.buf[at] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(b.buf[at:], uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(b.buf[at:], uint32(v))
	default:
		binary.LittleEndian.PutUint64(b.buf[at:], uint64(v))
	}
	b.present(i)
}

// Uint64 sets a Uint64 column.
func (b *Builder) Uint64(i int, v uint64) { b.Int(i, int64(v)) }

// Float32 sets a Float32 column.
func (b *Builder) Float32(i int, v float32) {
	if s := b.slot(i, Float32); s != nil {
		binary.LittleEndian.PutUint32(s, math.Float32bits(v))
	}
}

// Float64 sets a Float64 column.
func (b *Builder) Float64(i int, v float64) {
	if s := b.slot(i, Float64); s != nil {
		binary.LittleEndian.PutUint64(s, math.Float64bits(v))
	}
}

// TimeTZ sets a TimeTZ column.
func (b *Builder) TimeTZ(i int, micros int64, west int32) {
	if s := b.slot(i, TimeTZ); s != nil {
		binary.LittleEndian.PutUint64(s, uint64(micros))
		binary.LittleEndian.PutUint32(s[8:], uint32(west))
	}
}

// Interval sets an Interval column.
func (b *Builder) Interval(i int, micros int64, days, months int32) {
	if s := b.slot(i, Interval); s != nil {
		binary.LittleEndian.PutUint64(s, uint64(micros))
		binary.LittleEndian.PutUint32(s[8:], uint32(days))
		binary.LittleEndian.PutUint32(s[12:], uint32(months))
	}
}

// Fixed copies the slot of a value of the same kind, as Row.Slot returns it; a UUID is set this way.
func (b *Builder) Fixed(i int, slot []byte) {
	if !b.place(i) {
		return
	}
	info := &kinds[b.l.kinds[i]]
	if info.vary || info.size != len(slot) {
		b.fail(i, "a slot of that size")
		return
	}
	if info.checked && !validValue(b.l.kinds[i], slot) {
		b.fail(i, "this value")
		return
	}
	copy(b.buf[b.base+b.l.slots[i]:], slot)
	b.present(i)
}

// Bytes sets a variable column to a copy of v.
func (b *Builder) Bytes(i int, v []byte) {
	if !b.place(i) {
		return
	}
	b.buf = append(b.buf, v...)
	b.finishVariable(i)
}

// String sets a variable column to v.
func (b *Builder) String(i int, v string) {
	if !b.place(i) {
		return
	}
	b.buf = append(b.buf, v...)
	b.finishVariable(i)
}

// Variable sets a variable column to what fill appends to the slice that it is given and returns. It saves a copy where a value
// is produced piece by piece.
func (b *Builder) Variable(i int, fill func(dst []byte) []byte) {
	if !b.place(i) {
		return
	}
	b.buf = fill(b.buf)
	b.finishVariable(i)
}

// Value sets column i to a packed value of the same kind, as Row.Value returns it.
func (b *Builder) Value(i int, packed []byte) {
	if kinds[b.l.kinds[i]].vary {
		b.Bytes(i, packed)
		return
	}
	b.Fixed(i, packed)
}

// Copy sets column i to what column j of the row holds: a value of the same kind, null, or nothing.
func (b *Builder) Copy(i int, r Row, j int) {
	switch r.State(j) {
	case Present:
		b.Value(i, r.Value(j))
	case Null:
		b.Null(i)
	case Absent:
	}
}

func (b *Builder) finishVariable(i int) {
	k := b.l.kinds[i]
	if !kinds[k].vary {
		b.fail(i, "a variable value")
		return
	}
	start := b.base + b.l.fixed
	size := len(b.buf) - start
	if size > MaxRowBytes {
		b.fail(i, "a value this large")
		return
	}
	if kinds[k].checked && !validValue(k, b.buf[start+int(b.end):]) {
		b.fail(i, "this value")
		return
	}
	b.end = uint32(size)
	b.present(i)
}

// place readies column i to be set and reports whether it may be.
func (b *Builder) place(i int) bool {
	if b.err != nil {
		return false
	}
	if i < b.next || i >= len(b.l.kinds) {
		b.err = fmt.Errorf("pack row: column %d set out of order (next is %d of %d)", i, b.next, len(b.l.kinds))
		return false
	}
	b.skipTo(i)
	return true
}

// skipTo leaves the columns before i absent; their slots in the variable chain still carry the end reached so far.
func (b *Builder) skipTo(i int) {
	for b.next < i {
		b.close(b.next)
	}
}

// close writes the chain's end into the slot of a variable column and moves on.
func (b *Builder) close(i int) {
	if kinds[b.l.kinds[i]].vary {
		binary.LittleEndian.PutUint32(b.buf[b.base+b.l.slots[i]:], b.end)
	}
	b.next = i + 1
}

func (b *Builder) present(i int) {
	b.buf[b.base+i>>3] |= 1 << (i & 7)
	b.close(i)
}

// slot marks a fixed column present and returns its slot, nil when it is of another kind.
func (b *Builder) slot(i int, k Kind) []byte {
	if !b.place(i) {
		return nil
	}
	if b.l.kinds[i] != k {
		b.fail(i, k.String())
		return nil
	}
	b.present(i)
	at := b.base + b.l.slots[i]
	return b.buf[at : at+kinds[k].size]
}

func (b *Builder) fail(i int, what string) {
	if b.err == nil {
		b.err = fmt.Errorf("pack row: column %d is %s and cannot hold %s", i, b.l.kinds[i], what)
	}
}
