package changelog

import (
	"encoding/binary"
	"fmt"

	"cdc/schema"
)

// UnitBuilder encodes one unit at a time. It is reused: Reset, add records, then hand it to Log.Append, which copies what it
// needs. It is for one goroutine.
type UnitBuilder struct {
	// Meta is filled in by the caller before Append, but for First and Count, which the log assigns. Clock is the commit time as
	// far as it is believed; the log raises it to the source's clock.
	Meta UnitMeta

	catalog        []byte
	catalogRecords uint64
	changes        []byte
	changeRecords  uint64 // of the whole unit, those already moved to a side segment included
	side           *SideRef
	err            error
}

// Reset empties the builder for a new unit and keeps memory of ordinary size.
func (b *UnitBuilder) Reset(kind UnitKind) {
	if cap(b.changes) > keepChangeBytes {
		b.changes = nil
	}
	*b = UnitBuilder{Meta: UnitMeta{Kind: kind}, catalog: b.catalog[:0], changes: b.changes[:0]}
}

// keepChangeBytes is the largest buffer kept for the next unit: that of an ordinary transaction, not of one enormous row.
const keepChangeBytes = 2 * SpillBytes

// Err is the first error about what was added. A unit with one is not appended; changes that leave the builder by TakeChanges must
// be checked before.
func (b *UnitBuilder) Err() error { return b.err }

// RowChange adds a change of one row. before is the packed old row as far as image says that the source sent it, after the packed
// new row (nil for a delete), fromState (nil: none) the columns of after that were completed. All are packed in version t, which
// must be registered, and are copied.
func (b *UnitBuilder) RowChange(op Op, t *schema.Table, image Image, before, after, fromState []byte) {
	b.checkChange(op, t, image, after)
	flags := byte(image) & changeImageMask
	if after != nil {
		flags |= changeAfter
	}
	if fromState != nil {
		flags |= changeFromState
	}
	size := 2 + uvarintSize(uint64(t.Version))
	if image != ImageNone {
		size += uvarintSize(uint64(len(before))) + len(before)
	}
	if after != nil {
		size += uvarintSize(uint64(len(after))) + len(after)
	}
	size += len(fromState)
	dst := append(b.changes, recordChange)
	dst = binary.AppendUvarint(dst, uint64(size))
	dst = append(dst, byte(op), flags)
	dst = binary.AppendUvarint(dst, uint64(t.Version))
	if image != ImageNone {
		dst = append(binary.AppendUvarint(dst, uint64(len(before))), before...)
	}
	if after != nil {
		dst = append(binary.AppendUvarint(dst, uint64(len(after))), after...)
	}
	b.changes = append(dst, fromState...)
	b.changeRecords++
}

// checkChange refuses a change that no reader would accept.
func (b *UnitBuilder) checkChange(op Op, t *schema.Table, image Image, after []byte) {
	ok := false
	switch op {
	case OpCreate, OpRead:
		ok = after != nil && image == ImageNone
	case OpUpdate:
		ok = after != nil
	case OpDelete:
		ok = after == nil && image != ImageNone
	case OpTruncate, OpMessage:
	}
	switch {
	case b.err != nil:
	case !ok || image > ImageFull:
		b.err = fmt.Errorf("encode change of %s: op %q with old image %d and new row %t", t.FullName(), byte(op), image, after != nil)
	case t.Version == 0:
		b.err = fmt.Errorf("encode change of %s: its table version is not registered", t.FullName())
	}
}

// TruncateOptions are the options that a TRUNCATE was given.
type TruncateOptions struct{ Cascade, RestartIdentity bool }

// Truncate adds a change that empties a table.
func (b *UnitBuilder) Truncate(t *schema.Table, o TruncateOptions) {
	var flags byte
	if o.Cascade {
		flags |= changeCascade
	}
	if o.RestartIdentity {
		flags |= changeRestart
	}
	dst := append(b.changes, recordChange)
	dst = binary.AppendUvarint(dst, uint64(2+uvarintSize(uint64(t.Version))))
	dst = append(dst, byte(OpTruncate), flags)
	b.changes = binary.AppendUvarint(dst, uint64(t.Version))
	b.changeRecords++
}

// Message adds a logical message.
func (b *UnitBuilder) Message(prefix, content []byte) {
	size := uvarintSize(uint64(len(prefix))) + len(prefix) + len(content)
	dst := append(b.changes, recordMessage)
	dst = binary.AppendUvarint(dst, uint64(size))
	dst = append(binary.AppendUvarint(dst, uint64(len(prefix))), prefix...)
	b.changes = append(dst, content...)
	b.changeRecords++
}

// catalogRecord adds a record to the catalog section.
func (b *UnitBuilder) catalogRecord(kind byte, payload []byte) {
	dst := append(b.catalog, kind)
	dst = binary.AppendUvarint(dst, uint64(len(payload)))
	b.catalog = append(dst, payload...)
	b.catalogRecords++
}

// Changes is the number of changes added so far.
func (b *UnitBuilder) Changes() uint64 { return b.changeRecords }

// IsEmpty reports whether nothing has been added.
func (b *UnitBuilder) IsEmpty() bool { return b.changeRecords == 0 && b.catalogRecords == 0 }

// ChangeBytes is the size of the changes held in memory.
func (b *UnitBuilder) ChangeBytes() int { return len(b.changes) }

// TakeChanges returns the change section so far, whole records, and empties it: what has been taken must reach the side segment
// that SetSide names. The slice is valid until the next change is added.
func (b *UnitBuilder) TakeChanges() []byte {
	chunk := b.changes
	b.changes = b.changes[:0]
	return chunk
}

// SetSide says that all changes lie in the side segment.
func (b *UnitBuilder) SetSide(ref SideRef) { b.side = &ref }

// Side is the side segment set by SetSide; ok is false when the changes lie in the unit.
func (b *UnitBuilder) Side() (ref SideRef, ok bool) {
	if b.side == nil {
		return SideRef{}, false
	}
	return *b.side, true
}

// Offsets is the number of offsets that the unit takes.
func (b *UnitBuilder) Offsets() uint64 {
	switch b.Meta.Kind {
	case UnitTx, UnitCopy:
		return b.catalogRecords + b.changeRecords + 1
	case UnitControl:
		return b.catalogRecords
	default:
		return 1
	}
}

// AppendUnit encodes the unit with its Meta as it stands and appends it to dst. It is for implementations of Log.
func (b *UnitBuilder) AppendUnit(dst []byte) ([]byte, error) {
	if b.err != nil {
		return dst, b.err
	}
	m := &b.Meta
	m.Count = b.Offsets()
	if len(m.Position) > MaxPositionBytes {
		return dst, fmt.Errorf("encode unit: position of %d bytes, more than %d: %w", len(m.Position), MaxPositionBytes, ErrTooLarge)
	}
	changes := len(b.changes)
	if b.side != nil {
		m.Flags |= FlagSide
		changes = sideRefBytes
		if len(b.changes) != 0 || b.side.Changes != b.changeRecords {
			return dst, fmt.Errorf("encode unit: %d changes, of which its side segment holds %d", b.changeRecords, b.side.Changes)
		}
	}
	size := headerBytes + len(m.Position) + len(b.catalog) + changes
	if size > MaxUnitBytes {
		return dst, fmt.Errorf("encode unit: %d bytes, of them %d of catalog records, more than %d: %w",
			size, len(b.catalog), MaxUnitBytes, ErrTooLarge)
	}
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, uint32(size-4))
	dst = append(dst, byte(m.Kind), m.Flags)
	dst = le.AppendUint16(dst, uint16(m.Source))
	dst = le.AppendUint32(dst, uint32(m.Epoch))
	dst = le.AppendUint32(dst, uint32(len(m.Position)))
	dst = le.AppendUint32(dst, uint32(b.catalogRecords))
	dst = le.AppendUint32(dst, uint32(len(b.catalog)))
	dst = le.AppendUint64(dst, uint64(m.First))
	dst = le.AppendUint64(dst, m.Count)
	dst = le.AppendUint64(dst, m.XID)
	dst = le.AppendUint64(dst, uint64(m.CommitTime))
	dst = le.AppendUint64(dst, uint64(m.Clock))
	dst = append(dst, m.Position...)
	dst = append(dst, b.catalog...)
	if b.side == nil {
		return append(dst, b.changes...), nil
	}
	dst = le.AppendUint64(dst, b.side.ID)
	dst = le.AppendUint64(dst, b.side.Changes)
	dst = le.AppendUint64(dst, b.side.Bytes)
	return append(dst, b.side.SHA256[:]...), nil
}

// CatalogSection calls f with each catalog record of the unit and the offset that it will have once Meta.First is set. It is for
// implementations of Log, which apply a unit's records to their catalog when they append it.
func (b *UnitBuilder) CatalogSection(f func(n Offset, record []byte) error) error {
	u := Unit{Meta: b.Meta, catalog: b.catalog, catalogRecords: b.catalogRecords}
	return u.CatalogRecords(f)
}

func uvarintSize(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// AddSideChanges counts changes that have gone to the side segment without passing through this builder.
func (b *UnitBuilder) AddSideChanges(n uint64) { b.changeRecords += n }
