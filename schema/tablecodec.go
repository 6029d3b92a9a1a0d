package schema

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// tableFormat is the first byte of an encoded table. It is stored; a change of the encoding takes the next number.
const tableFormat = 1

// MaxNameBytes bounds each name and declared type in an encoded table: a MySQL enum declares all its labels in its type.
const MaxNameBytes = 1 << 20

// minColumnBytes is the least that one encoded column takes; it bounds what a damaged count can make us allocate.
const minColumnBytes = 9

// Flags of a table and of a column. They are stored; do not change them.
const (
	flagAppendOnly = 1 << 0

	flagNotNull    = 1 << 0
	flagFold       = 1 << 1
	flagHasMissing = 1 << 2
)

// ErrTable is the cause of every error about bytes that are not an encoded table.
var ErrTable = errors.New("bytes are not a table version")

// AppendTable appends the encoding of t that docs/formats/row.md describes.
func AppendTable(dst []byte, t *Table) []byte {
	dst = append(dst, tableFormat)
	dst = binary.AppendUvarint(dst, uint64(t.ID))
	dst = binary.AppendUvarint(dst, uint64(t.Version))
	for _, name := range [...]string{t.Source, t.Schema, t.Name} {
		dst = appendString(dst, name)
	}
	dst = binary.AppendUvarint(dst, uint64(t.SourceTable))
	dst = append(dst, byte(t.Identity), flagIf(t.AppendOnly, flagAppendOnly))
	dst = binary.AppendUvarint(dst, uint64(len(t.Columns)))
	for i := range t.Columns {
		dst = appendColumn(dst, &t.Columns[i])
	}
	return dst
}

func appendColumn(dst []byte, c *Column) []byte {
	dst = binary.AppendUvarint(dst, uint64(c.ID))
	dst = appendString(dst, c.Name)
	dst = append(dst, byte(c.Kind))
	dst = binary.AppendVarint(dst, int64(c.Precision))
	dst = binary.AppendVarint(dst, int64(c.Scale))
	dst = appendString(dst, c.SQLType)
	dst = binary.AppendUvarint(dst, uint64(c.SourceType))
	dst = append(dst, flagIf(c.NotNull, flagNotNull)|flagIf(c.Fold, flagFold)|flagIf(c.HasMissing, flagHasMissing))
	dst = binary.AppendUvarint(dst, uint64(c.Key))
	if c.HasMissing {
		dst = binary.AppendUvarint(dst, uint64(len(c.Missing)))
		dst = append(dst, c.Missing...)
	}
	return dst
}

// DecodeTable reads an encoded table, which must fill b, and prepares it. The table shares no memory with b.
func DecodeTable(b []byte) (*Table, error) {
	d := tableDecoder{rest: b}
	if format := d.byte(); d.err == nil && format != tableFormat {
		return nil, fmt.Errorf("%w: format %d, this build reads %d", ErrTable, format, tableFormat)
	}
	t := &Table{ID: TableID(d.uint32()), Version: VersionID(d.uint32())}
	t.Source, t.Schema, t.Name = d.string(), d.string(), d.string()
	t.SourceTable = d.uint32()
	t.Identity = Identity(d.byte())
	if t.Identity > IdentityFull {
		d.fail("unknown identity")
	}
	t.AppendOnly = d.flags(flagAppendOnly)&flagAppendOnly != 0
	n := d.uvarint()
	if n > MaxColumns || n > uint64(len(d.rest)/minColumnBytes) {
		d.fail("too many columns")
	}
	if d.err != nil {
		return nil, d.err
	}
	t.Columns = make([]Column, n)
	for i := range t.Columns {
		d.column(&t.Columns[i])
	}
	if len(d.rest) > 0 {
		d.fail("bytes after the last column")
	}
	if d.err != nil {
		return nil, d.err
	}
	if err := t.Prepare(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTable, err)
	}
	return t, nil
}

// tableDecoder reads fields; after the first error all reads return zero.
type tableDecoder struct {
	rest []byte
	err  error
}

func (d *tableDecoder) column(c *Column) {
	c.ID = d.uint32()
	c.Name = d.string()
	c.Kind = Kind(d.byte())
	c.Precision, c.Scale = d.int32(), d.int32()
	c.SQLType = d.string()
	c.SourceType = d.uint32()
	flags := d.flags(flagNotNull | flagFold | flagHasMissing)
	c.NotNull, c.Fold, c.HasMissing = flags&flagNotNull != 0, flags&flagFold != 0, flags&flagHasMissing != 0
	key := d.uvarint()
	if key > MaxColumns {
		d.fail("key column out of range")
	}
	c.Key = uint16(key)
	if c.HasMissing {
		c.Missing = append([]byte{}, d.bytes(MaxRowBytes)...)
	}
}

func (d *tableDecoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrTable, what)
	}
	d.rest = nil
}

func (d *tableDecoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail("cut short")
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *tableDecoder) flags(known byte) byte {
	b := d.byte()
	if b&^known != 0 {
		d.fail("unknown flag")
	}
	return b
}

func (d *tableDecoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail("damaged number")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *tableDecoder) uint32() uint32 {
	v := d.uvarint()
	if v != uint64(uint32(v)) {
		d.fail("number out of range")
	}
	return uint32(v)
}

func (d *tableDecoder) int32() int32 {
	v, n := binary.Varint(d.rest)
	if n <= 0 || v != int64(int32(v)) {
		d.fail("damaged number")
		return 0
	}
	d.rest = d.rest[n:]
	return int32(v)
}

// bytes reads a length and that many bytes, shared.
func (d *tableDecoder) bytes(most uint64) []byte {
	n := d.uvarint()
	if n > most || n > uint64(len(d.rest)) {
		d.fail("length out of range")
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *tableDecoder) string() string { return string(d.bytes(MaxNameBytes)) }

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func flagIf(on bool, flag byte) byte {
	if on {
		return flag
	}
	return 0
}
