package postgres

import (
	"fmt"

	"cdc/changelog"
	"cdc/schema"
)

// relation is a table as the stream describes it on one connection.
type relation struct {
	message relationMessage
	// ready says that the fields below are filled in; that waits for the first change that counts.
	ready bool
	table *schema.Table
	// discard says that the table's changes are not kept: it is not captured, or waits for a copy.
	discard bool
	columns []relationDecoder
}

// relationDecoder holds a column's decoders; binary is nil for types that we read only as text.
type relationDecoder struct {
	text, binary decoder
	key          bool
}

func (r *relation) compile(types *typeCache) {
	r.columns = make([]relationDecoder, len(r.table.Columns))
	for i := range r.table.Columns {
		column := &r.table.Columns[i]
		r.columns[i] = relationDecoder{
			text: types.textDecoder(column), binary: types.binaryDecoder(column.SourceType), key: r.message.columns[i].key,
		}
	}
}

// allBinary reports whether every column of the table can be read in binary.
func allBinary(types *typeCache, t *schema.Table) bool {
	for i := range t.Columns {
		if types.binaryDecoder(t.Columns[i].SourceType) == nil {
			return false
		}
	}
	return true
}

// errNeedText says that the stream has to be asked for as text: a column of a type without a binary decoder has appeared.
var errNeedText = fmt.Errorf("a column's binary form is not known; the stream goes on as text")

// tuple packs the tuple at the front of m into b and returns the row. Of an old key, only the key columns are there; the server
// sends the others as null.
func (r *relation) tuple(m *reader, b *schema.Builder, dst []byte, keyOnly bool) ([]byte, error) {
	if n := int(m.u16()); n != len(r.columns) {
		return nil, fmt.Errorf("tuple of %d columns for a table of %d: %w", n, len(r.columns), errMessage)
	}
	b.Reset(r.table.Layout(), dst)
	for i := range r.columns {
		c := &r.columns[i]
		kind, data := m.column()
		if keyOnly && !c.key {
			continue
		}
		var err error
		switch kind {
		case columnBinary:
			if c.binary == nil {
				return nil, errNeedText
			}
			err = c.binary(b, i, data)
		case columnText:
			err = c.text(b, i, data)
		case columnNull:
			b.Null(i)
		}
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", r.table.Columns[i].Name, err)
		}
	}
	if m.bad {
		return nil, errMessage
	}
	return b.Finish()
}

// image says what an old tuple of the kind holds.
func image(kind byte) changelog.Image {
	if kind == tupleOldFull {
		return changelog.ImageFull
	}
	return changelog.ImageKey
}

// identityKind is the identity that a relation message shows.
func (m *relationMessage) identityKind() schema.Identity {
	switch m.identity {
	case 'f':
		return schema.IdentityFull
	case 'i':
		return schema.IdentityUniq
	case 'd':
		for _, c := range m.columns {
			if c.key {
				return schema.IdentityKey
			}
		}
	}
	return schema.IdentityNone
}
