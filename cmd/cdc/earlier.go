package main

import (
	"bytes"
	"context"
	"fmt"

	"cdc/changelog"
	"cdc/materialize"
	"cdc/schema"
)

// Limits of looking old rows up, which reads the log from its beginning.
const (
	// maxLookup is the most changes whose old rows are looked up.
	maxLookup = 1000
	// maxLookupOffsets is the longest log that is read for a list of changes; 'cdc show' reads any.
	maxLookupOffsets = 1 << 20
	// maxLookupKeys is up to how many rows of a table are asked for one by one, and not by reading the whole table.
	maxLookupKeys = 8
)

// earlierRows knows what rows held before they were changed, where the source does not say: with Postgres's default replica
// identity it sends the new row only.
type earlierRows struct {
	ctx  context.Context
	app  *App
	log  *Log
	rows map[schema.TableID]map[string]earlierRow // by key; of the rows that are looked up, the zero value until they are found
	key  []byte
	// filtered says that the changes are those of some keys only: a row that comes from another key has a past that was not seen.
	filtered bool
}

type earlierRow struct {
	table *schema.Table
	row   schema.Row // zero when there is none
}

// newEarlierRows is nil when so many changes, or so long a log, make looking up too dear.
func newEarlierRows(ctx context.Context, a *App, log *Log, changes int) *earlierRows {
	bounds := log.Bounds()
	if changes <= 0 || changes > maxLookup || bounds.Next-bounds.First > maxLookupOffsets {
		return nil
	}
	return &earlierRows{ctx: ctx, app: a, log: log, rows: map[schema.TableID]map[string]earlierRow{}}
}

// load reads the rows that the changes touch as they were before the first of them.
func (e *earlierRows) load(changes []materialize.ChangeRow) error {
	var requests []materialize.Request
	wanted := map[schema.TableID][]*materialize.ChangeRow{}
	var order []schema.TableID
	for i := range changes {
		c := &changes[i]
		if !e.needs(c) {
			continue
		}
		if wanted[c.Table.ID] == nil {
			order = append(order, c.Table.ID)
			e.rows[c.Table.ID] = map[string]earlierRow{}
		}
		key, err := schema.AppendKey(nil, c.Table, oldRow(c))
		if err != nil {
			return fmt.Errorf("look old rows up: %w", err)
		}
		e.rows[c.Table.ID][string(key)] = earlierRow{}
		wanted[c.Table.ID] = append(wanted[c.Table.ID], c)
	}
	for _, id := range order {
		requests = append(requests, e.requests(id, wanted[id])...)
	}
	if len(requests) == 0 {
		return nil
	}
	part, done := e.app.progress("look old rows up")
	defer done()
	o := e.app.spillOptions()
	o.Progress = part
	return materialize.Tables(e.ctx, e.log, requests, o, e.take)
}

// needs reports whether the change's old row is missing and can be found.
func (e *earlierRows) needs(c *materialize.ChangeRow) bool {
	if c.Table == nil || len(c.Table.KeyColumns()) == 0 || c.Image == changelog.ImageFull {
		return false
	}
	if e.filtered && c.Op == changelog.OpUpdate && c.Image == changelog.ImageKey {
		return false
	}
	return c.Op == changelog.OpUpdate || c.Op == changelog.OpDelete
}

// oldRow is the row that holds the key which the changed row had before.
func oldRow(c *materialize.ChangeRow) schema.Row {
	if c.Before.IsZero() {
		return c.After
	}
	return c.Before
}

// requests ask for the table before its first change: for each row, or for all of them when they are many.
func (e *earlierRows) requests(id schema.TableID, changes []*materialize.ChangeRow) (requests []materialize.Request) {
	at := changes[0].Unit.First - 1
	known, ok := e.log.Catalog().TableAt(id, at)
	if !ok || !known.Answerable() {
		return nil
	}
	if len(changes) > maxLookupKeys {
		return []materialize.Request{{Table: id, At: at}}
	}
	for _, c := range changes {
		where := &materialize.Predicate{}
		for _, i := range c.Table.KeyColumns() {
			where.AndRow(c.Table, i, materialize.Equal, oldRow(c))
		}
		requests = append(requests, materialize.Request{Table: id, At: at, Where: where})
	}
	return requests
}

func (e *earlierRows) take(b *materialize.Batch) error {
	for i := range b.Len() {
		row := b.Row(i)
		key, err := schema.AppendKey(e.key[:0], b.Table, row)
		e.key = key
		if err != nil {
			return err
		}
		if _, wanted := e.rows[b.Table.ID][string(key)]; !wanted {
			continue
		}
		kept, _ := b.Table.Layout().Row(bytes.Clone(row.Raw())) // the batch's bytes are a row
		e.rows[b.Table.ID][string(key)] = earlierRow{table: b.Table, row: kept}
	}
	return nil
}

// before is the old row of a change in the change's version of the table, zero when it is not known. Changes must come in the
// order of the log: each becomes the old row of the next one.
func (e *earlierRows) before(c *materialize.ChangeRow) schema.Row {
	if c.Table == nil || e.rows[c.Table.ID] == nil {
		return schema.Row{}
	}
	rows := e.rows[c.Table.ID]
	if c.Op == changelog.OpTruncate {
		clear(rows)
		return schema.Row{}
	}
	key, err := schema.AppendKey(e.key[:0], c.Table, oldRow(c))
	e.key = key
	if err != nil {
		return schema.Row{}
	}
	was := rows[string(key)]
	delete(rows, string(key))
	if !c.After.IsZero() {
		if key, err := schema.AppendKey(nil, c.Table, c.After); err == nil {
			rows[string(key)] = earlierRow{table: c.Table, row: c.After}
		}
	}
	if was.row.IsZero() || !e.needs(c) {
		return schema.Row{}
	}
	return reshaped(was, c.Table)
}

// reshaped is the row in another version of its table, zero when that cannot be.
func reshaped(was earlierRow, to *schema.Table) schema.Row {
	if was.table.Version == to.Version {
		return was.row
	}
	packed, err := newReshaper(was.table, to).convert(nil, was.row)
	if err != nil {
		return schema.Row{}
	}
	row, err := to.Layout().Row(packed)
	if err != nil {
		return schema.Row{}
	}
	return row
}
