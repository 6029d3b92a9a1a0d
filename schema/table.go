package schema

import (
	"bytes"
	"fmt"
)

// TableID identifies a table within one log. A table dropped and made again under the same name is another table.
type TableID uint32

// VersionID identifies one version of one table within one log. Zero means not registered yet.
type VersionID uint32

// Identity says which columns a source sends to name the row that an update or a delete touches.
type Identity uint8

// Identities. The numbers are stored; do not change them.
const (
	IdentityNone Identity = 0 // inserts only can be captured
	IdentityKey  Identity = 1 // primary key
	IdentityUniq Identity = 2 // another unique index, all its columns not null
	IdentityFull Identity = 3 // the whole old row
)

// String is the identity's name in messages.
func (i Identity) String() string {
	switch i {
	case IdentityNone:
		return "none"
	case IdentityKey:
		return "primary key"
	case IdentityUniq:
		return "unique index"
	case IdentityFull:
		return "full row"
	}
	return "unknown"
}

// Column is one column of a table version.
type Column struct {
	// ID names the column for as long as it exists, across renames and type changes (Postgres: attnum).
	ID   uint32
	Name string
	Kind Kind
	// Precision and Scale of a Decimal; Precision 0 means unbounded, and Scale may be negative. Precision of a Bit is its length.
	Precision, Scale int32
	// SQLType is the type as the source declares it, e.g. "numeric(12,2)".
	SQLType string
	// SourceType is the source's number of the type (Postgres: type OID).
	SourceType uint32
	NotNull    bool
	// Key is the 1-based place of the column in the table's key, 0 when it is not part of it.
	Key uint16
	// Fold asks keys to treat values as equal that differ only in letter case (citext).
	Fold bool
	// Missing is the packed value that rows written before the column was added read, when HasMissing. It holds the bytes of the
	// slot for fixed kinds and the bytes of the value for variable ones.
	Missing    []byte
	HasMissing bool
}

// Table is one version of a table. It is immutable once it has been registered with a log.
type Table struct {
	ID      TableID
	Version VersionID
	// Source, Schema and Name are the table's full name, e.g. shop.public.orders.
	Source, Schema, Name string
	// SourceTable is the source's number of the table (Postgres: OID).
	SourceTable uint32
	Identity    Identity
	// AppendOnly tables have their inserts and truncates captured and nothing else.
	AppendOnly bool
	Columns    []Column

	layout *Layout
	key    []int
}

// Layout is where the version's columns lie in a packed row. It is computed once; Prepare must have been called by whoever made
// the table, before it is shared.
func (t *Table) Layout() *Layout { return t.layout }

// KeyColumns are the indexes of the key's columns in key order; empty when the table has no key. The slice is shared.
func (t *Table) KeyColumns() []int { return t.key }

// Prepare computes what is derived from the columns. It returns an error when a column cannot be stored, or when the places of the
// key columns are not 1, 2, 3, ….
func (t *Table) Prepare() error {
	layout, err := NewLayout(t.Columns)
	if err != nil {
		return err
	}
	key, err := keyColumns(t.Columns)
	if err != nil {
		return err
	}
	for i := range t.Columns {
		if err := t.Columns[i].checkMissing(); err != nil {
			return err
		}
	}
	t.layout, t.key = layout, key
	return nil
}

// SameShape reports whether both are the same table but for their version.
func (t *Table) SameShape(o *Table) bool {
	if t.ID != o.ID || t.Source != o.Source || t.Schema != o.Schema || t.Name != o.Name || t.SourceTable != o.SourceTable ||
		t.Identity != o.Identity || t.AppendOnly != o.AppendOnly || len(t.Columns) != len(o.Columns) {
		return false
	}
	for i := range t.Columns {
		if !t.Columns[i].equal(&o.Columns[i]) {
			return false
		}
	}
	return true
}

// Column is the index of the named column, or -1.
func (t *Table) Column(name string) int {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return i
		}
	}
	return -1
}

// ColumnByID is the index of the column with that id, or -1.
func (t *Table) ColumnByID(id uint32) int {
	for i := range t.Columns {
		if t.Columns[i].ID == id {
			return i
		}
	}
	return -1
}

func keyColumns(columns []Column) ([]int, error) {
	n := 0
	for i := range columns {
		if columns[i].Key > 0 {
			n++
		}
	}
	key := make([]int, n)
	seen := make([]bool, n)
	for i := range columns {
		place := int(columns[i].Key)
		if place == 0 {
			continue
		}
		if place > n || seen[place-1] {
			return nil, fmt.Errorf("column %q has place %d in a key of %d columns", columns[i].Name, place, n)
		}
		key[place-1], seen[place-1] = i, true
	}
	return key, nil
}

// checkMissing reports whether the value of older rows is one of the column's kind.
func (c *Column) checkMissing() error {
	ok := !c.HasMissing
	switch {
	case ok:
	case c.Kind.Variable():
		ok = len(c.Missing) <= MaxRowBytes && validValue(c.Kind, c.Missing)
	default:
		ok = len(c.Missing) == kinds[c.Kind].size && validValue(c.Kind, c.Missing)
	}
	if !ok {
		return fmt.Errorf("column %q: the value of older rows is no %s", c.Name, c.Kind)
	}
	return nil
}

func (c *Column) equal(o *Column) bool {
	return c.ID == o.ID && c.Name == o.Name && c.Kind == o.Kind && c.Precision == o.Precision && c.Scale == o.Scale &&
		c.SQLType == o.SQLType && c.SourceType == o.SourceType && c.NotNull == o.NotNull && c.Key == o.Key && c.Fold == o.Fold &&
		c.HasMissing == o.HasMissing && (!c.HasMissing || bytes.Equal(c.Missing, o.Missing))
}
