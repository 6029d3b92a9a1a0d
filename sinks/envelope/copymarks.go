package envelope

import "cdc/changelog"

// copyMarks gives each row of a copy its mark.
//
// Debezium also marks the last row of each table. Here rows of several tables may stand between each other, as they are read side by
// side, and a table's last row is not known before the copy's end: the mark is left out rather than given to a row that is not the
// last. The copy's very last row has its mark.
type copyMarks struct {
	copy, incremental bool
	begun             bool
	tables            changelog.TableSet
}

// marksOf is the marks of a unit's rows. Chunks that are copied beside the stream are incremental; a whole copy says so in the state
// of each of its tables.
func marksOf(u *changelog.Unit) (m copyMarks, err error) {
	if u.Meta.Kind != changelog.UnitCopy {
		return m, nil
	}
	m.copy = true
	err = u.CatalogRecords(func(_ changelog.Offset, record []byte) error {
		if s, ok := changelog.AsTableState(record); ok {
			m.incremental = m.incremental || s.State == changelog.TableCopying || s.State == changelog.TableComplete
		}
		return nil
	})
	return m, err
}

// mark is the mark of the next row, of a unit of so many changes.
func (m *copyMarks) mark(c *changelog.Change, changes uint64) []byte {
	switch {
	case !m.copy:
		return markStream
	case m.incremental:
		return markIncremental
	}
	begun, known := m.begun, m.tables.Has(c.Table.ID)
	m.begun = true
	m.tables.Add(c.Table.ID)
	switch {
	case c.Ordinal == changes-1:
		return markLast
	case !begun:
		return markFirst
	case !known:
		return markFirstOfIts
	}
	return markCopy
}
