package changelog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"cdc/schema"
)

// UnitKind says what a unit is. The numbers are stored; do not change them.
type UnitKind uint8

// Kinds of units. Only Tx and Copy hold changes.
const (
	UnitTx      UnitKind = 1 // a source's transaction
	UnitCopy    UnitKind = 2 // tables as they were at one position of the source, changes of op r
	UnitTick    UnitKind = 3 // the source's stream reached a position and a time with nothing in flight
	UnitControl UnitKind = 4 // catalog records alone: a source, a tag, a stop, a decision, the state of a table
)

// Unit flags. Stored; do not change them.
const (
	// FlagSide says that the changes lie in a side segment.
	FlagSide uint8 = 1 << 0
	// FlagSkew says that the commit time was so far ahead of the source's own clock that the clock ignored it.
	FlagSkew uint8 = 1 << 1
)

// Op is what a change does, as Debezium writes it. The letters are stored; do not change them.
type Op byte

// Ops.
const (
	OpCreate   Op = 'c'
	OpUpdate   Op = 'u'
	OpDelete   Op = 'd'
	OpRead     Op = 'r' // a row of a copy
	OpTruncate Op = 't'
	OpMessage  Op = 'm' // a logical message; Before and After are empty, Prefix and Content are set
)

// Image says how much of the old row a source sent. The numbers are stored; do not change them.
type Image uint8

// Images of an old row.
const (
	ImageNone Image = 0
	ImageKey  Image = 1 // the key columns, the others absent
	ImageFull Image = 2
)

// Limits of a unit. They are checked when writing and when reading.
const (
	// MaxUnitBytes bounds a unit that lies in the main log; larger ones put their changes into a side segment.
	MaxUnitBytes = 48 << 20
	// SpillBytes is the size from which on a transaction's changes go to a side segment as they arrive.
	SpillBytes = 16 << 20
	// MaxPositionBytes bounds a source position (a GTID set can be long).
	MaxPositionBytes = 60 << 10
)

// headerBytes is the fixed part of a unit:
//
//	 0 u32 bytes of the unit after this field
//	 4 u8  kind   5 u8 flags   6 u16 source   8 u32 epoch
//	12 u32 bytes of the position
//	16 u32 number of catalog records   20 u32 bytes of the catalog section
//	24 u64 offset of the first record   32 u64 offsets taken, the commit included
//	40 u64 the source's transaction id   48 i64 commit time   56 i64 clock
//	64 position, catalog section, then change section or side reference
//
// All little-endian. A record of either section is: kind u8, length uvarint, payload.
const headerBytes = 64

// ErrUnit is the cause of every error about bytes that are not a unit.
var ErrUnit = errors.New("bytes are not a unit")

// UnitMeta is what a unit says about itself.
type UnitMeta struct {
	Kind   UnitKind
	Flags  uint8
	Source SourceID
	Epoch  Epoch
	// First is the offset of the first record, Count the number of offsets taken with the commit.
	First Offset
	Count uint64
	// XID is the source's own number of the transaction, 0 when there is none.
	XID uint64
	// CommitTime is as the source stamped it; Clock is the source's clock after the unit, never going back.
	CommitTime, Clock Micros
	Position          Position
}

// Commit is the unit's instant: the offset of its last record.
func (m *UnitMeta) Commit() Offset { return m.First + Offset(m.Count) - 1 }

// SideRef names a side segment: the changes of one transaction too large for the main log.
type SideRef struct {
	ID      uint64
	Changes uint64
	Bytes   uint64 // of the change section, before compression
	SHA256  [32]byte
}

const sideRefBytes = 8 + 8 + 8 + 32

// Change is one change of a unit, as a view over the unit's bytes: valid until the cursor moves on.
type Change struct {
	Offset Offset
	// Ordinal is the change's place among the changes of its unit, from 0.
	Ordinal uint64
	Op      Op
	// Table is the version that the rows are packed in; nil for a message.
	Table  *schema.Table
	Image  Image
	Before schema.Row
	After  schema.Row
	// FromState has a bit for each column that the source did not send and the log completed from an earlier row; nil when
	// there is none.
	FromState []byte
	// Prefix and Content of a message.
	Prefix, Content []byte
	// Cascade and Restart are the options of a truncate.
	Cascade, Restart bool
}

// Record kinds of the change section. Stored; do not change them.
const (
	recordChange  = 1
	recordMessage = 2
)

// Flags of a change record. Stored; do not change them.
const (
	changeImageMask = 0x03
	changeAfter     = 0x04
	changeFromState = 0x08
	changeCascade   = 0x10
	changeRestart   = 0x20
)

// DecodeUnit reads the unit at the front of b and returns the bytes that it takes. The unit shares b's memory. Its changes can be
// read after Attach.
func DecodeUnit(b []byte, u *Unit) (int, error) {
	if len(b) < headerBytes {
		return 0, fmt.Errorf("%w: %d bytes are less than its header", ErrUnit, len(b))
	}
	size := int(binary.LittleEndian.Uint32(b)) + 4
	if size < headerBytes || size > len(b) {
		return 0, fmt.Errorf("%w: length %d of %d bytes", ErrUnit, size, len(b))
	}
	b = b[:size]
	u.Meta = UnitMeta{
		Kind: UnitKind(b[4]), Flags: b[5], Source: SourceID(binary.LittleEndian.Uint16(b[6:])),
		Epoch: Epoch(binary.LittleEndian.Uint32(b[8:])),
		First: Offset(binary.LittleEndian.Uint64(b[24:])), Count: binary.LittleEndian.Uint64(b[32:]),
		XID:        binary.LittleEndian.Uint64(b[40:]),
		CommitTime: Micros(binary.LittleEndian.Uint64(b[48:])), Clock: Micros(binary.LittleEndian.Uint64(b[56:])),
	}
	positionBytes, catalogBytes := uint64(binary.LittleEndian.Uint32(b[12:])), uint64(binary.LittleEndian.Uint32(b[20:]))
	if headerBytes+positionBytes+catalogBytes > uint64(size) || positionBytes > MaxPositionBytes {
		return 0, fmt.Errorf("%w: sections of %d and %d bytes in %d", ErrUnit, positionBytes, catalogBytes, size)
	}
	rest := b[headerBytes:]
	u.position, rest = rest[:positionBytes], rest[positionBytes:]
	u.catalog, rest = rest[:catalogBytes], rest[catalogBytes:]
	u.catalogRecords = uint64(binary.LittleEndian.Uint32(b[16:]))
	u.changes, u.side = rest, SideRef{}
	u.read, u.ordinal, u.chunks, u.wanted, u.complete = 0, 0, nil, nil, nil
	if err := u.check(); err != nil {
		return 0, err
	}
	return size, nil
}

// Unit is a view over one unit's bytes. It is for one goroutine and valid until its cursor moves on.
type Unit struct {
	Meta UnitMeta

	position, catalog, changes []byte
	catalogRecords             uint64
	side                       SideRef

	versions Versions
	tables   *TableSet
	wanted   func(*schema.Table) bool
	complete func(*Change) error
	chunks   func() ([]byte, error)
	read     int // bytes of changes consumed
	ordinal  uint64
}

// Versions resolves table versions. A Catalog is one.
type Versions interface {
	// Version is the registered table version, or nil.
	Version(schema.VersionID) *schema.Table
}

// PositionBytes is the position without a copy, valid as long as the unit.
func (u *Unit) PositionBytes() []byte { return u.position }

// LoadPosition sets Meta.Position, which DecodeUnit leaves empty as it costs an allocation.
func (u *Unit) LoadPosition() { u.Meta.Position = Position(u.position) }

// Side is the side segment that holds the unit's changes; ok is false when they lie in the unit.
func (u *Unit) Side() (ref SideRef, ok bool) { return u.side, u.Meta.Flags&FlagSide != 0 }

// Changes is the number of changes, messages included.
func (u *Unit) Changes() uint64 {
	if u.Meta.Kind != UnitTx && u.Meta.Kind != UnitCopy {
		return 0
	}
	return u.Meta.Count - 1 - u.catalogRecords
}

// CatalogRecords calls f with each record of the catalog section and its offset.
func (u *Unit) CatalogRecords(f func(n Offset, record []byte) error) error {
	rest := u.catalog
	for i := uint64(0); i < u.catalogRecords; i++ {
		size, err := recordSize(rest)
		if err != nil {
			return err
		}
		if err := f(u.Meta.First+Offset(i), rest[:size]); err != nil {
			return err
		}
		rest = rest[size:]
	}
	if len(rest) != 0 {
		return fmt.Errorf("%w: %d bytes after the catalog records", ErrUnit, len(rest))
	}
	return nil
}

// Attach readies the unit for Next: versions resolves tables, tables (nil: all) filters changes, chunks (nil when the changes lie
// in the unit) yields the change section of a side segment in pieces of whole records, then io.EOF.
func (u *Unit) Attach(versions Versions, tables *TableSet, chunks func() ([]byte, error)) {
	u.versions, u.tables, u.chunks = versions, tables, chunks
}

// Keep has Next leave out changes of table versions for which wanted reports false; messages pass. It is asked once a change. Unlike
// CursorOptions.Tables, which is settled when the cursor is opened, it may decide about tables that are met for the first time.
func (u *Unit) Keep(wanted func(*schema.Table) bool) { u.wanted = wanted }

// Complete has Next call f with each row change that it has read, before it gives it back, so that f may fill in what the source did not
// send of the old row. f also sees the changes that Keep leaves out. Its error is that of Next.
func (u *Unit) Complete(f func(*Change) error) { u.complete = f }

func (u *Unit) check() error {
	m := &u.Meta
	switch m.Kind {
	case UnitTx, UnitCopy:
		if m.Count < 1+u.catalogRecords {
			return fmt.Errorf("%w: %d offsets for %d catalog records and a commit", ErrUnit, m.Count, u.catalogRecords)
		}
	case UnitTick:
		if m.Count != 1 || u.catalogRecords != 0 {
			return fmt.Errorf("%w: a tick of %d offsets", ErrUnit, m.Count)
		}
	case UnitControl:
		if m.Count != u.catalogRecords || m.Count == 0 {
			return fmt.Errorf("%w: a control unit of %d offsets and %d records", ErrUnit, m.Count, u.catalogRecords)
		}
	default:
		return fmt.Errorf("%w: unknown kind %d (written by a newer version?)", ErrUnit, m.Kind)
	}
	if m.Flags&FlagSide == 0 {
		return nil
	}
	if len(u.changes) != sideRefBytes {
		return fmt.Errorf("%w: side reference of %d bytes", ErrUnit, len(u.changes))
	}
	b := u.changes
	u.side = SideRef{
		ID: binary.LittleEndian.Uint64(b), Changes: binary.LittleEndian.Uint64(b[8:]), Bytes: binary.LittleEndian.Uint64(b[16:]),
		SHA256: [32]byte(b[24:]),
	}
	u.changes = nil
	return nil
}

// recordSize is the size of the record at the front of b with its kind and length.
func recordSize(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, fmt.Errorf("%w: record of %d bytes", ErrUnit, len(b))
	}
	length, n := binary.Uvarint(b[1:])
	if n <= 0 || length > uint64(len(b)-1-n) {
		return 0, fmt.Errorf("%w: record longer than its section", ErrUnit)
	}
	return 1 + n + int(length), nil
}

// recordPayload is the payload of a whole record.
func recordPayload(record []byte) []byte {
	_, n := binary.Uvarint(record[1:])
	return record[1+n:]
}
