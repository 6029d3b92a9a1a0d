package mysql

import (
	"fmt"
	"slices"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources/mysql/value"
)

// version makes the table version that the columns describe. number is the source's of the table. Columns that the previous version
// has by the same name keep their ids; others get ids above last, as no column may get one that another had: rows of an earlier version
// would show its values.
func (t *tableInfo) version(source string, number uint32, previous *schema.Table, last uint32) (*schema.Table, error) {
	if t.err != nil {
		return nil, fmt.Errorf("describe table %s: %w", t.quoted(), t.err)
	}
	next := &schema.Table{Source: source, Schema: t.schema, Name: t.name, SourceTable: number, Identity: schema.IdentityFull}
	key := t.names(previous)
	switch {
	case len(key) == 0:
	case slices.Equal(key, t.serverKey()):
		next.Identity = schema.IdentityKey
	default:
		next.Identity = schema.IdentityUniq
	}
	last = max(last, lastColumn(previous))
	for i := range t.columns {
		id := uint32(0)
		if previous != nil {
			if j := previous.Column(t.columns[i].Name); j >= 0 {
				id = previous.Columns[j].ID
			}
		}
		if id == 0 {
			last++
			id = last
		}
		column, err := t.columns[i].Schema(id)
		if err != nil {
			return nil, fmt.Errorf("describe table %s: %w", t.quoted(), err)
		}
		column.Key = uint16(slices.Index(key, column.Name) + 1)
		next.Columns = append(next.Columns, column)
	}
	if err := next.Prepare(); err != nil {
		return nil, fmt.Errorf("describe table %s: %w", t.quoted(), err)
	}
	return next, nil
}

// lastColumn is the highest id of a version's columns.
func lastColumn(t *schema.Table) uint32 {
	last := uint32(0)
	if t != nil {
		for i := range t.Columns {
			last = max(last, t.Columns[i].ID)
		}
	}
	return last
}

// lastColumns are the highest ids that columns of each table's versions have, all versions that the log knows.
func lastColumns(c *changelog.Catalog) map[schema.TableID]uint32 {
	last := map[schema.TableID]uint32{}
	for _, t := range c.Versions() {
		last[t.ID] = max(last[t.ID], lastColumn(t))
	}
	return last
}

// names is the key: what the catalogue says or, where only TABLE_MAP has been read, what that says of the server's, unless the previous
// version has another, which the binlog does not tell.
func (t *tableInfo) names(previous *schema.Table) []string {
	switch {
	case t.catalogued:
		return t.key
	case len(t.key) == 0 && previous != nil && previous.Identity == schema.IdentityUniq:
		var names []string
		for _, k := range previous.KeyColumns() {
			names = append(names, previous.Columns[k].Name)
		}
		if t.notNull(names) {
			return names
		}
	}
	if len(t.key) > 0 {
		return t.key
	}
	return t.serverKey()
}

func (t *tableInfo) notNull(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		return !slices.ContainsFunc(t.columns, func(c value.Column) bool { return c.Name == name && !c.Nullable })
	})
}

// serverKey is what the server takes for the primary key.
func (t *tableInfo) serverKey() []string {
	var names []string
	for place := uint16(1); ; place++ {
		i := slices.IndexFunc(t.columns, func(c value.Column) bool { return c.Key == place })
		if i < 0 {
			return names
		}
		names = append(names, t.columns[i].Name)
	}
}
