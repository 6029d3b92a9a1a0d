package changelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"cdc/schema"
)

// Next reads the next change that passes the filter into c, and reports whether there was one. Attach must have been called.
func (u *Unit) Next(c *Change) (bool, error) {
	if u.Meta.Kind != UnitTx && u.Meta.Kind != UnitCopy {
		return false, nil
	}
	for {
		if u.read == len(u.changes) {
			more, err := u.nextChunk()
			if !more || err != nil {
				return false, err
			}
		}
		size, err := recordSize(u.changes[u.read:])
		if err != nil {
			return false, err
		}
		record := u.changes[u.read : u.read+size]
		u.read += size
		ordinal := u.ordinal
		u.ordinal++
		c.Offset, c.Ordinal = u.Meta.First+Offset(u.catalogRecords+ordinal), ordinal
		ok, err := u.decodeChange(record, c)
		if err != nil {
			return false, fmt.Errorf("change %d of the unit at offset %d: %w", ordinal, u.Meta.First, err)
		}
		if ok {
			return true, nil
		}
	}
}

// nextChunk moves on to the next piece of a side segment; at the end it checks that no change is missing.
func (u *Unit) nextChunk() (bool, error) {
	if u.chunks != nil {
		chunk, err := u.chunks()
		if err == nil {
			u.changes, u.read = chunk, 0
			return true, nil
		}
		if !errors.Is(err, io.EOF) {
			return false, err
		}
	} else if u.Meta.Flags&FlagSide != 0 {
		return false, fmt.Errorf("%w: its side segment is not open", ErrUnit)
	}
	if u.ordinal != u.Changes() {
		return false, fmt.Errorf("%w: %d changes, its header says %d", ErrUnit, u.ordinal, u.Changes())
	}
	return false, nil
}

// decodeChange reads a record; it reports false for one that the filter drops.
func (u *Unit) decodeChange(record []byte, c *Change) (bool, error) {
	payload := recordPayload(record)
	switch record[0] {
	case recordChange:
		return u.decodeRowChange(payload, c)
	case recordMessage:
		if u.tables != nil {
			return false, nil
		}
		prefix, rest, err := cutBytes(payload)
		if err != nil {
			return false, err
		}
		*c = Change{Offset: c.Offset, Ordinal: c.Ordinal, Op: OpMessage, Prefix: prefix, Content: rest}
		return true, nil
	default:
		return false, fmt.Errorf("%w: unknown record kind %d (written by a newer version?)", ErrUnit, record[0])
	}
}

func (u *Unit) decodeRowChange(b []byte, c *Change) (bool, error) {
	if len(b) < 3 {
		return false, fmt.Errorf("%w: change of %d bytes", ErrUnit, len(b))
	}
	op, flags := Op(b[0]), b[1]
	version, n := binary.Uvarint(b[2:])
	if n <= 0 || version > 1<<32-1 {
		return false, fmt.Errorf("%w: change without a table version", ErrUnit)
	}
	b = b[2+n:]
	table := u.versions.Version(schema.VersionID(version))
	if table == nil {
		return false, fmt.Errorf("%w: table version %d is not in the catalog", ErrUnit, version)
	}
	wanted := u.wanted == nil || u.wanted(table)
	if u.tables != nil && !u.tables.Has(table.ID) || !wanted && u.complete == nil {
		return false, nil
	}
	*c = Change{
		Offset: c.Offset, Ordinal: c.Ordinal, Op: op, Table: table, Image: Image(flags & changeImageMask),
		Cascade: flags&changeCascade != 0, Restart: flags&changeRestart != 0,
	}
	var err error
	if c.Image != ImageNone {
		if c.Before, b, err = cutRow(b, table); err != nil {
			return false, err
		}
	}
	if flags&changeAfter != 0 {
		if c.After, b, err = cutRow(b, table); err != nil {
			return false, err
		}
	}
	if flags&changeFromState != 0 {
		c.FromState = b
	}
	if err := checkOp(c); err != nil || u.complete == nil {
		return wanted, err
	}
	return wanted, u.complete(c)
}

// checkOp refuses a change whose rows do not go with its op.
func checkOp(c *Change) error {
	before, after := !c.Before.IsZero(), !c.After.IsZero()
	ok := false
	switch c.Op {
	case OpCreate, OpRead:
		ok = after && !before
	case OpUpdate:
		ok = after
	case OpDelete:
		ok = before && !after
	case OpTruncate:
		ok = !before && !after
	case OpMessage:
	}
	if !ok {
		return fmt.Errorf("%w: change of op %q with before=%t after=%t", ErrUnit, byte(c.Op), before, after)
	}
	return nil
}

func cutRow(b []byte, t *schema.Table) (schema.Row, []byte, error) {
	raw, rest, err := cutBytes(b)
	if err != nil {
		return schema.Row{}, nil, err
	}
	row, err := t.Layout().Row(raw)
	if err != nil {
		return schema.Row{}, nil, fmt.Errorf("table %s version %d: %w", t.FullName(), t.Version, err)
	}
	return row, rest, nil
}

// cutBytes splits a length-prefixed byte string off b.
func cutBytes(b []byte) (head, rest []byte, err error) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return nil, nil, fmt.Errorf("%w: byte string longer than its record", ErrUnit)
	}
	return b[n : n+int(length)], b[n+int(length):], nil
}

// TableSet is a set of tables, for filters. The zero value is the empty set.
type TableSet struct{ bits []uint64 }

// NewTableSet makes a set.
func NewTableSet(ids ...schema.TableID) *TableSet {
	s := &TableSet{}
	for _, id := range ids {
		s.Add(id)
	}
	return s
}

// Add puts a table into the set.
func (s *TableSet) Add(id schema.TableID) {
	for int(id>>6) >= len(s.bits) {
		s.bits = append(s.bits, 0)
	}
	s.bits[id>>6] |= 1 << (id & 63)
}

// Has reports whether the table is in the set.
func (s *TableSet) Has(id schema.TableID) bool {
	return int(id>>6) < len(s.bits) && s.bits[id>>6]&(1<<(id&63)) != 0
}
