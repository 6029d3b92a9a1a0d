package schema

import (
	"errors"
	"fmt"
)

// ErrRewritten says that a column is stored another way in the other version, so that its old values cannot be read as new ones.
var ErrRewritten = errors.New("column was rewritten with another type")

// Converter repacks rows of one version of a table as another. It is immutable and safe for concurrent use.
type Converter struct {
	from, to *Layout
	columns  []conversion
	same     bool // the layouts agree, and so do the bytes
}

// conversion says where a column of the new version comes from.
type conversion struct {
	from    int    // column of the old version, -1 when it has none
	missing []byte // what rows without the column read
	null    bool   // they read null instead
}

// NewConverter matches the columns of two versions by their ids, which must be distinct. Both must have been prepared.
func NewConverter(from, to *Table) (*Converter, error) {
	old, err := columnsByID(from)
	if err != nil {
		return nil, err
	}
	if _, err := columnsByID(to); err != nil {
		return nil, err
	}
	c := &Converter{from: from.layout, to: to.layout, columns: make([]conversion, len(to.Columns))}
	c.same = len(from.Columns) == len(to.Columns)
	for i := range to.Columns {
		column := &to.Columns[i]
		j, found := old[column.ID]
		if !found {
			j = -1
		}
		c.columns[i] = conversion{from: j, missing: column.Missing, null: !column.HasMissing}
		c.same = c.same && i == j
		if found && from.Columns[j].Kind != column.Kind {
			return nil, fmt.Errorf("convert %s from version %d to %d: column %q: %w: %s to %s", to.FullName(),
				from.Version, to.Version, column.Name, ErrRewritten, from.Columns[j].Kind, column.Kind)
		}
	}
	return c, nil
}

func columnsByID(t *Table) (map[uint32]int, error) {
	byID := make(map[uint32]int, len(t.Columns))
	for i := range t.Columns {
		if j, found := byID[t.Columns[i].ID]; found {
			return nil, fmt.Errorf("convert %s: columns %q and %q have the same id", t.FullName(), t.Columns[j].Name, t.Columns[i].Name)
		}
		byID[t.Columns[i].ID] = i
	}
	return byID, nil
}

// Convert appends the row, packed as the new version. A column that the old version lacks takes the value that the new version
// says such rows read, else null; one that is absent stays absent.
func (c *Converter) Convert(dst []byte, r Row) ([]byte, error) {
	if r.l != c.from && !c.from.equal(r.l) {
		return dst, fmt.Errorf("convert row: %w", ErrRow)
	}
	if c.same {
		return append(dst, r.b...), nil
	}
	var b Builder
	b.Reset(c.to, dst)
	for i := range c.columns {
		from := &c.columns[i]
		switch {
		case from.from >= 0:
			b.Copy(i, r, from.from)
		case from.null:
			b.Null(i)
		default:
			b.Value(i, from.missing)
		}
	}
	return b.Finish()
}

// Project appends a row of the layout to, whose column i is the row's column columns[i].
func Project(dst []byte, r Row, columns []int, to *Layout) ([]byte, error) {
	if len(columns) != len(to.kinds) {
		return dst, fmt.Errorf("project row: %d columns into %d", len(columns), len(to.kinds))
	}
	var b Builder
	b.Reset(to, dst)
	for i, j := range columns {
		if j < 0 || j >= len(r.l.kinds) || r.l.kinds[j] != to.kinds[i] {
			return dst, fmt.Errorf("project row: column %d cannot be column %d of the result", j, i)
		}
		b.Copy(i, r, j)
	}
	return b.Finish()
}

// equal reports whether rows of both layouts have the same bytes.
func (l *Layout) equal(o *Layout) bool {
	if o == nil || len(l.kinds) != len(o.kinds) {
		return false
	}
	for i, k := range l.kinds {
		if o.kinds[i] != k {
			return false
		}
	}
	return true
}
