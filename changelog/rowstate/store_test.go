package rowstate_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/rowstate"
	"cdc/changelog/vfs"
	"cdc/schema"
)

// Goal: whatever column a source leaves out because it stores it out of line, the store has its value, also after a restart and
// after a transaction that was taken back.
//
// Method: a model of how Postgres moves values out of line. A value may be left out exactly when the row was wide when the value
// was written; whenever the model leaves one out, the store must complete the row as the model has it.

type modelRow struct {
	values   [2][]byte
	external [2]bool
}

// model is a table and what has been appended to the log about it.
type model struct {
	t     *rapid.T
	log   *disklog.Log
	table *schema.Table
	dir   string
	store *rowstate.Store
	rows  map[int64]modelRow
}

func modelTable() *schema.Table {
	t := &schema.Table{
		Source: "test", Schema: "public", Name: "wide", SourceTable: 2, Identity: schema.IdentityKey,
		Columns: []schema.Column{
			{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", Key: 1},
			{ID: 2, Name: "a", Kind: schema.Text, SQLType: "text"},
			{ID: 3, Name: "b", Kind: schema.Text, SQLType: "text"},
		},
	}
	if err := t.Prepare(); err != nil {
		panic(err)
	}
	return t
}

func (m *model) open() {
	store, err := rowstate.Open(m.t.Context(), rowstate.Options{Dir: m.dir, Log: m.log, Source: 1})
	if err != nil {
		m.t.Fatal(err)
	}
	m.store = store
}

// pack packs a row, leaving out the columns that absent names.
func (m *model) pack(id int64, r modelRow, absent [2]bool) []byte {
	var b schema.Builder
	b.Reset(m.table.Layout(), nil)
	b.Int(0, id)
	for i, v := range r.values {
		if !absent[i] {
			b.Bytes(i+1, v)
		}
	}
	row, err := b.Finish()
	if err != nil {
		m.t.Fatal(err)
	}
	return row
}

// transaction draws a transaction and puts it into the store and, unless it is taken back, into the log and the model.
func (m *model) transaction() {
	var unit changelog.UnitBuilder
	unit.Reset(changelog.UnitTx)
	unit.Meta.Source, unit.Meta.Epoch = 1, 1
	if !m.log.Catalog().Logged(m.table.Version) {
		unit.AddTable(m.table)
	}
	rows := map[int64]modelRow{}
	for id, r := range m.rows {
		rows[id] = r
	}
	tx := m.store.Begin()
	for range rapid.IntRange(1, 4).Draw(m.t, "changes") {
		m.change(tx, &unit, rows)
	}
	if rapid.IntRange(0, 4).Draw(m.t, "taken back") == 0 {
		tx.Abort()
		return
	}
	n, err := m.log.Append(m.t.Context(), &unit)
	if err != nil {
		m.t.Fatal(err)
	}
	tx.Commit(n)
	m.rows = rows
	if rapid.Bool().Draw(m.t, "durable") {
		if err := m.log.WaitDurable(m.t.Context(), n); err != nil {
			m.t.Fatal(err)
		}
		if err := m.store.Durable(n); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *model) change(tx *rowstate.Tx, unit *changelog.UnitBuilder, rows map[int64]modelRow) {
	id := rapid.Int64Range(0, 3).Draw(m.t, "id")
	old, exists := rows[id]
	switch kind := rapid.IntRange(0, 9).Draw(m.t, "kind"); {
	case kind == 0:
		m.must(tx.Truncate(m.table.ID))
		unit.Truncate(m.table, changelog.TruncateOptions{})
		clear(rows)
	case kind == 1 && exists:
		before := m.pack(id, modelRow{}, [2]bool{true, true})
		_, _, err := tx.Apply(rowstate.Change{Op: changelog.OpDelete, Table: m.table, Image: changelog.ImageKey, Before: before})
		m.must(err)
		unit.RowChange(changelog.OpDelete, m.table, changelog.ImageKey, before, nil, nil)
		delete(rows, id)
	case exists:
		m.update(tx, unit, rows, id, old)
	default:
		next := m.draw(modelRow{}, [2]bool{true, true})
		row := m.pack(id, next, [2]bool{})
		_, _, err := tx.Apply(rowstate.Change{Op: changelog.OpCreate, Table: m.table, After: row})
		m.must(err)
		unit.RowChange(changelog.OpCreate, m.table, changelog.ImageNone, nil, row, nil)
		rows[id] = next
	}
}

// update changes some columns, and perhaps the key; columns that it does not change are left out when they are out of line.
func (m *model) update(tx *rowstate.Tx, unit *changelog.UnitBuilder, rows map[int64]modelRow, id int64, old modelRow) {
	var set, absent [2]bool
	for i := range set {
		set[i] = rapid.Bool().Draw(m.t, "set")
		absent[i] = !set[i] && old.external[i]
	}
	next := m.draw(old, set)
	to, image := id, changelog.ImageNone
	var before []byte
	if rapid.IntRange(0, 5).Draw(m.t, "move") == 0 {
		to = rapid.Int64Range(10, 14).Draw(m.t, "to")
		if _, taken := rows[to]; taken {
			to = id
		} else {
			before, image = m.pack(id, modelRow{}, [2]bool{true, true}), changelog.ImageKey
		}
	}
	after := m.pack(to, next, absent)
	completed, fromState, err := tx.Apply(rowstate.Change{
		Op: changelog.OpUpdate, Table: m.table, Image: image, Before: before, After: after,
	})
	m.must(err)
	if absent == [2]bool{} {
		completed = after
	}
	if want := m.pack(to, next, [2]bool{}); !bytes.Equal(completed, want) {
		m.t.Fatalf("row %d completed to %d bytes, want %d", to, len(completed), len(want))
	}
	unit.RowChange(changelog.OpUpdate, m.table, image, before, completed, fromState)
	delete(rows, id)
	rows[to] = next
}

// draw changes the columns that set names and moves them out of line when the row is wide.
func (m *model) draw(r modelRow, set [2]bool) modelRow {
	for i := range set {
		if set[i] {
			size := rapid.SampledFrom([]int{0, 10, 900, 1200, 2500}).Draw(m.t, "size")
			r.values[i] = bytes.Repeat([]byte{byte(rapid.IntRange('a', 'z').Draw(m.t, "letter"))}, size)
			r.external[i] = false
		}
	}
	if len(r.values[0])+len(r.values[1]) > 2032 {
		for i := range set {
			r.external[i] = r.external[i] || set[i] && len(r.values[i]) > 500
		}
	}
	return r
}

func (m *model) must(err error) {
	if err != nil {
		m.t.Fatal(err)
	}
}

func TestStoreCompletesWhatPostgresLeavesOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log, err := disklog.Open("data/log", disklog.Options{FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		m := &model{t: t, log: log, rows: map[int64]modelRow{}}
		var unit changelog.UnitBuilder
		unit.Reset(changelog.UnitControl)
		unit.Meta.Source, unit.Meta.Epoch = 1, 1
		unit.AddSource(changelog.SourceInfo{ID: 1, Epoch: 1, Name: "test", Kind: "test"})
		if _, err := log.Append(t.Context(), &unit); err != nil {
			t.Fatal(err)
		}
		m.table = log.Catalog().Register(1, modelTable())
		m.open()
		defer func() { m.store.Close() }()
		for range rapid.IntRange(1, 12).Draw(t, "transactions") {
			m.transaction()
			if rapid.IntRange(0, 4).Draw(t, "restart") == 0 {
				m.must(log.WaitDurable(t.Context(), log.Catalog().Progress(1).Commit))
				m.must(m.store.Close())
				m.open() // in memory: everything comes from the log
			}
		}
	})
}

func TestStoreResumesFromItsFiles(t *testing.T) {
	log, err := disklog.Open("data/log", disklog.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	table := log.Catalog().Register(1, modelTable())
	m := &model{log: log, table: table}
	big := modelRow{values: [2][]byte{bytes.Repeat([]byte("a"), 3000), []byte("b")}}
	options := rowstate.Options{Dir: t.TempDir(), Log: log, Source: 1}
	for round := range int64(3) {
		store, err := rowstate.Open(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		var unit changelog.UnitBuilder
		unit.Reset(changelog.UnitTx)
		unit.Meta.Source, unit.Meta.Epoch = 1, 1
		if round == 0 {
			unit.AddTable(table)
		}
		tx := store.Begin()
		for id := range round { // rows of the rounds before
			_, _, err := tx.Apply(rowstate.Change{Op: changelog.OpUpdate, Table: table, After: m.pack(id, big, [2]bool{true, false})})
			if err != nil {
				t.Fatalf("round %d, row %d: %v", round, id, err)
			}
		}
		row := m.pack(round, big, [2]bool{})
		if _, _, err := tx.Apply(rowstate.Change{Op: changelog.OpCreate, Table: table, After: row}); err != nil {
			t.Fatal(err)
		}
		unit.RowChange(changelog.OpCreate, table, changelog.ImageNone, nil, row, nil)
		n, err := log.Append(t.Context(), &unit)
		if err != nil {
			t.Fatal(err)
		}
		tx.Commit(n)
		if err := log.WaitDurable(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		if err := store.Durable(n); err != nil {
			t.Fatal(err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNeedsBoundsTheHeapFromAbove(t *testing.T) {
	table := modelTable()
	m := &model{table: table}
	pack := func(a, b int) []byte {
		return m.pack(1, modelRow{values: [2][]byte{bytes.Repeat([]byte("a"), a), bytes.Repeat([]byte("b"), b)}}, [2]bool{})
	}
	if rowstate.Needs(table, pack(500, 500)) {
		t.Error("a narrow row is kept")
	}
	if !rowstate.Needs(table, pack(1000, 1000)) {
		t.Error("a row of 2,000 bytes may have values out of line")
	}
	jsonb := modelTable()
	jsonb.Columns[1].Kind, jsonb.Columns[1].SQLType = schema.JSON, "jsonb"
	if err := jsonb.Prepare(); err != nil {
		t.Fatal(err)
	}
	if !rowstate.Needs(jsonb, pack(200, 0)) {
		t.Error("200 bytes of jsonb text can be wider than 2,000 on the heap")
	}
	full := modelTable()
	full.Identity = schema.IdentityFull
	if rowstate.Needs(full, pack(3000, 0)) {
		t.Error("a table that sends its old rows needs nothing")
	}
}
