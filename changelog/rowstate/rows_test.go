package rowstate

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/vfs"
	"cdc/schema"
)

// Goal: the old row that Rows gives to a change is the row as the changes before it have made it, or what the source has sent when the
// log does not hold the row. It depends on the log alone: not on kills, on being taken back, or on what has been forgotten.
//
// Method: a model draws a log of a few tables with all that happens to tables, and keeps each row in a Go map. A second part reads that
// log as a sink does, in lives that end anywhere, and compares.

// worldRow is a row of the model by column ids. known says that the log holds it, but for the column lacking, if any.
type worldRow struct {
	values  map[uint32]string
	known   bool
	lacking uint32
}

type worldTable struct {
	version *schema.Table
	rows    []*worldRow
	columns uint32 // ids so far
	tracked bool   // the sink has wanted it
	blind   bool   // in this unit
	leaving bool   // with this unit
}

// world makes a log.
type world struct {
	t      *rapid.T
	log    *disklog.Log
	unit   changelog.UnitBuilder
	tables []*worldTable
	serial int
	// before is what is expected of each change of the unit, and of the log by offset.
	before []string
	want   map[changelog.Offset]string
	ends   []changelog.Offset // commits
}

// worldWanted leaves tables out by name.
func worldWanted(t *schema.Table) bool { return t.Name != "other" }

func newWorld(t *rapid.T, log *disklog.Log) *world {
	w := &world{t: t, log: log, want: map[changelog.Offset]string{}}
	for i, name := range []string{"a", "b", "other"} {
		table := &worldTable{columns: 3, version: &schema.Table{
			Source: "shop", Schema: "public", Name: name, SourceTable: uint32(i + 1), Identity: schema.IdentityKey,
			Columns: []schema.Column{
				{ID: 1, Name: "id", Kind: schema.Text, SQLType: "text", Key: 1},
				{ID: 2, Name: "code", Kind: schema.Text, SQLType: "text"},
				{ID: 3, Name: "note", Kind: schema.Text, SQLType: "text"},
			},
		}}
		w.tables = append(w.tables, table)
		for range w.draw(0, 2, "rows before the log") {
			table.rows = append(table.rows, w.fresh(table))
		}
	}
	return w
}

func (w *world) draw(least, most int, what string) int {
	return rapid.IntRange(least, most).Draw(w.t, what)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// text is a value that no row has had.
func (w *world) text() string {
	w.serial++
	return fmt.Sprintf("%d", w.serial)
}

// fresh is a row that the log does not know.
func (w *world) fresh(t *worldTable) *worldRow {
	r := &worldRow{values: map[uint32]string{}}
	for _, c := range t.version.Columns {
		r.values[c.ID] = w.text()
	}
	return r
}

func (r *worldRow) copy() *worldRow { return &worldRow{values: maps.Clone(r.values)} }

// build appends units.
func (w *world) build(units int) {
	for range units {
		w.unit.Reset(changelog.UnitTx)
		if w.draw(0, 9, "copy") == 0 {
			w.unit.Reset(changelog.UnitCopy)
		}
		w.unit.Meta.Source, w.unit.Meta.Epoch = 1, 1
		w.before = w.before[:0]
		for _, t := range w.tables {
			t.blind, t.leaving = false, false
			w.versions(t)
		}
		copied := w.unit.Meta.Kind == changelog.UnitCopy
		if copied {
			w.copyRows(w.tables[w.draw(0, 2, "table")])
		}
		for range w.draw(0, 5, "changes") {
			if !copied {
				w.change(w.tables[w.draw(0, 2, "table")])
			}
		}
		if w.unit.IsEmpty() {
			continue
		}
		w.append()
	}
	w.must(w.log.WaitDurable(w.t.Context(), w.ends[len(w.ends)-1]))
}

func (w *world) append() {
	n, err := w.log.Append(w.t.Context(), &w.unit)
	w.must(err)
	first := n - changelog.Offset(len(w.before))
	for i, text := range w.before {
		w.want[first+changelog.Offset(i)] = text
	}
	w.ends = append(w.ends, n)
	for _, t := range w.tables {
		if t.blind || t.leaving {
			t.forget()
		}
	}
}

func (t *worldTable) forget() {
	for _, r := range t.rows {
		r.known = false
	}
}

// versions changes what a table is, or its state.
func (w *world) versions(t *worldTable) {
	state := changelog.TableState{}
	next := *t.version
	next.Columns = slices.Clone(next.Columns)
	switch kind := w.draw(0, 40, "DDL"); kind {
	case 0:
		t.columns++
		added := schema.Column{ID: t.columns, Name: w.text(), Kind: schema.Text, SQLType: "text", HasMissing: true, Missing: []byte("missing")}
		next.Columns = append([]schema.Column{added}, next.Columns...)
		for _, r := range t.rows {
			r.values[t.columns] = "missing"
		}
	case 1, 2, 3: // another key, or none
		for i := range next.Columns {
			next.Columns[i].Key = 0
			if int(next.Columns[i].ID) == kind {
				next.Columns[i].Key = 1
			}
		}
		next.Identity = schema.IdentityKey
	case 8: // no key, and whole old rows
		for i := range next.Columns {
			next.Columns[i].Key = 0
		}
		next.Identity = schema.IdentityFull
	case 4:
		if t.version.Name != "a" && w.draw(0, 1, "rename") == 0 {
			next.Name = map[string]string{"b": "other", "other": "b"}[next.Name]
		}
	case 5:
		state.State = changelog.TableRewritten
		t.blind = true
	case 6:
		state.State = changelog.TableCopying
	case 7:
		state.State = changelog.TableUntracked
		t.leaving = true
	}
	if t.version.Layout() == nil || len(next.Columns) != len(t.version.Columns) || next.Name != t.version.Name ||
		!slices.EqualFunc(next.Columns, t.version.Columns, func(a, b schema.Column) bool { return a.Key == b.Key }) {
		w.must(next.Prepare())
		t.version = w.log.Catalog().Register(1, &next)
		w.unit.AddTable(t.version)
	}
	if state.State != 0 {
		state.Table = t.version.ID
		w.unit.AddTableState(state)
		if !t.leaving {
			t.forget()
		}
	}
}

// copyRows copies some rows, or all, as they are.
func (w *world) copyRows(t *worldTable) {
	whole := w.draw(0, 1, "whole") == 0
	if whole {
		w.unit.AddTableState(changelog.TableState{Table: t.version.ID, State: changelog.TableCopied})
		t.blind, t.leaving = false, false
		t.forget()
	}
	for _, r := range t.rows {
		if whole || w.draw(0, 1, "row") == 0 {
			w.note(t, changelog.OpRead, nil, nil, r, "")
		}
	}
}

// change changes a row.
func (w *world) change(t *worldTable) {
	kind := w.draw(0, 9, "change")
	switch {
	case kind == 0 && w.draw(0, 3, "truncate") == 0:
		w.unit.Truncate(t.version, changelog.TruncateOptions{})
		w.before = append(w.before, "none -")
		w.follow(t)
		t.rows = nil
	case kind < 4 || len(t.rows) == 0:
		r := w.fresh(t)
		w.note(t, changelog.OpCreate, nil, nil, r, "")
		t.rows = append(t.rows, r)
	case kind < 6:
		i := w.draw(0, len(t.rows)-1, "row")
		w.note(t, changelog.OpDelete, t.rows[i], w.image(t, t.rows[i], true), nil, "")
		t.rows = slices.Delete(t.rows, i, i+1)
	default:
		w.update(t, w.draw(0, len(t.rows)-1, "row"))
	}
}

func (w *world) update(t *worldTable, i int) {
	old, next := t.rows[i], t.rows[i].copy()
	moved := false
	for _, c := range t.version.Columns {
		if c.Key == 0 && w.draw(0, 1, "set") == 0 || c.Key > 0 && w.draw(0, 4, "move") == 0 {
			next.values[c.ID] = w.text()
			moved = moved || c.Key > 0
		}
	}
	absent, first := "", t.version.Columns[0]
	if (!old.known || old.lacking == first.ID) && first.Key == 0 && w.draw(0, 2, "absent") == 0 {
		absent, next.lacking = first.Name, first.ID
		next.values[first.ID] = old.values[first.ID]
	}
	w.note(t, changelog.OpUpdate, old, w.image(t, old, moved), next, absent)
	t.rows[i] = next
}

// image is the old row as a source sends it: nil, its key, its key with something more, or all of it.
func (w *world) image(t *worldTable, r *worldRow, needed bool) map[uint32]string {
	sent := map[uint32]string{}
	keyless := !slices.ContainsFunc(t.version.Columns, func(c schema.Column) bool { return c.Key > 0 })
	kind := w.draw(0, 3, "image")
	if kind == 0 && !needed && !keyless {
		return nil
	}
	for _, c := range t.version.Columns {
		if kind == 1 || keyless || c.Key > 0 || kind == 2 && w.draw(0, 1, "sent") == 0 {
			sent[c.ID] = r.values[c.ID]
		}
	}
	return sent
}

// note adds a change, and what is expected of its old row.
func (w *world) note(t *worldTable, op changelog.Op, old *worldRow, sent map[uint32]string, next *worldRow, absent string) {
	image := changelog.ImageNone
	var before, after []byte
	if sent != nil {
		before = w.pack(t.version, sent, "")
		if image = changelog.ImageKey; len(sent) == len(t.version.Columns) {
			image = changelog.ImageFull
		}
	}
	if next != nil {
		after = w.pack(t.version, next.values, absent)
	}
	w.unit.RowChange(op, t.version, image, before, after, nil)
	w.must(w.unit.Err())
	w.follow(t)
	held := t.tracked && !t.blind && len(t.version.KeyColumns()) > 0
	if image != changelog.ImageFull && held && old != nil && old.known && (old.lacking == 0 || sent[old.lacking] != "") {
		image, before = changelog.ImageFull, w.pack(t.version, old.values, "")
	}
	w.before = append(w.before, describe(w.t, t.version, image, before))
	if next != nil {
		next.known = held
		if absent == "" {
			next.lacking = 0
		}
	}
}

// follow notes that the table has had a change.
func (w *world) follow(t *worldTable) {
	t.tracked = t.tracked || worldWanted(t.version) && !t.blind
	for _, r := range t.rows {
		key := t.version.KeyColumns()
		if len(key) == 0 && !t.blind || len(key) > 0 && t.version.Columns[key[0]].ID == r.lacking {
			r.known = false // it has no key
		}
	}
}

func (w *world) pack(t *schema.Table, values map[uint32]string, absent string) []byte {
	var b schema.Builder
	b.Reset(t.Layout(), nil)
	for i, c := range t.Columns {
		if v, ok := values[c.ID]; ok && c.Name != absent {
			b.String(i, v)
		}
	}
	row, err := b.Finish()
	w.must(err)
	return row
}

func describe(t *rapid.T, table *schema.Table, image changelog.Image, packed []byte) string {
	if image == changelog.ImageNone {
		return "none -"
	}
	row, err := table.Layout().Row(packed)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%d", image)
	for i := range table.Columns {
		text += fmt.Sprintf(" %d:%d:%s", table.Columns[i].ID, row.State(i), row.Bytes(i))
	}
	return text
}

// reader reads a log through Rows, in lives.
type reader struct {
	t    *rapid.T
	w    *world
	fs   *pebblevfs.MemFS
	rows *Rows
	// position and floor are those that the rows must be able to come to without beginning anew; killed says that they may be less.
	position, floor changelog.Offset
	killed          bool
	rebuilt         int
}

func (r *reader) start() {
	o := RowsOptions{Log: r.w.log, Wanted: worldWanted, Scope: "but other"}
	o.Reading = func(from, to changelog.Offset) {
		if from >= to {
			r.t.Fatalf("the log is read from %d to %d", from, to)
		}
		if from == 0 {
			r.rebuilt++
		}
	}
	r.rows = NewRows(o)
	r.rows.fs = r.fs
}

// seek goes to any offset, and may have to begin anew only when that is before the floor, or when little had come to the disk.
func (r *reader) seek() {
	n := changelog.Offset(rapid.IntRange(0, int(r.w.ends[len(r.w.ends)-1])).Draw(r.t, "offset"))
	if rapid.IntRange(0, 3).Draw(r.t, "far back") > 0 {
		n = max(n, r.floor)
	}
	rebuilt := r.rebuilt
	r.w.must(r.rows.Seek(r.t.Context(), n))
	if r.rebuilt > rebuilt && n >= r.floor && r.floor > 0 && !r.killed {
		r.t.Fatalf("asked for offset %d, where %d has arrived, the rows are made anew", n, r.floor)
	}
	if n < r.floor || n > r.position || r.killed {
		r.floor = r.rows.floor
	}
	r.position, r.killed = n, false
}

// read reads units behind the position, the last of them perhaps in part.
func (r *reader) read() {
	cursor, err := r.w.log.Cursor(changelog.CursorOptions{From: r.position + 1})
	r.w.must(err)
	defer cursor.Close()
	for range rapid.IntRange(1, 6).Draw(r.t, "units") {
		if r.position >= r.w.ends[len(r.w.ends)-1] {
			return
		}
		u, err := cursor.Next(r.t.Context())
		r.w.must(err)
		u.Keep(func(t *schema.Table) bool { return t.Name != "b" })
		r.w.must(r.rows.Begin(u))
		changes := int(u.Changes())
		part := rapid.IntRange(0, 3*changes+3).Draw(r.t, "part")
		r.changes(u, min(part, changes))
		if part < changes {
			return // Seek must follow
		}
		r.w.must(r.rows.Finish(r.t.Context()))
		r.position = u.Meta.Commit()
		if rapid.IntRange(0, 4).Draw(r.t, "arrives") == 0 {
			n := changelog.Offset(rapid.IntRange(0, int(r.position)).Draw(r.t, "arrived"))
			r.w.must(r.rows.Arrived(n))
			r.floor = max(r.floor, n)
		}
		r.flush()
	}
}

func (r *reader) changes(u *changelog.Unit, n int) {
	var c changelog.Change
	for range n {
		ok, err := u.Next(&c)
		r.w.must(err)
		if !ok {
			return
		}
		if got, want := describe(r.t, c.Table, c.Image, c.Before.Raw()), r.w.want[c.Offset]; got != want {
			r.t.Fatalf("change %c at offset %d of table version %d has the old row %s, want %s", c.Op, c.Offset, c.Table.Version, got, want)
		}
		r.flush()
	}
}

// flush writes to the disk, as the key-value store does when its memory is full.
func (r *reader) flush() {
	if rapid.IntRange(0, 9).Draw(r.t, "flush") == 0 {
		r.w.must(r.rows.db.Flush())
	}
}

// end ends a life, by a kill or not.
func (r *reader) end() {
	switch rapid.IntRange(0, 2).Draw(r.t, "end") {
	case 0:
		disk := r.fs.CrashClone(pebblevfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(1, uint64(r.position)))})
		_ = r.rows.db.Close()
		r.fs, r.killed = disk, true
		r.start()
	case 1:
		r.w.must(r.rows.Close())
		if rapid.Bool().Draw(r.t, "the same") {
			r.start()
		}
	}
}

func TestG3OldRowsAreThoseOfTheLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log, err := disklog.Open("/log", disklog.Options{FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		w := newWorld(t, log)
		w.build(rapid.IntRange(1, 30).Draw(t, "units"))
		r := &reader{t: t, w: w, fs: pebblevfs.NewCrashableMem()}
		r.start()
		for range rapid.IntRange(1, 8).Draw(t, "lives") {
			r.seek()
			r.read()
			r.end()
		}
		// In the end all of it is read, without a break.
		w.must(r.rows.Seek(context.Background(), 0))
		r.position = 0
		cursor, err := log.Cursor(changelog.CursorOptions{From: 1})
		w.must(err)
		defer cursor.Close()
		for r.position < w.ends[len(w.ends)-1] {
			u, err := cursor.Next(t.Context())
			w.must(err)
			w.must(r.rows.Begin(u))
			r.changes(u, int(u.Changes()))
			w.must(r.rows.Finish(t.Context()))
			r.position = u.Meta.Commit()
		}
		w.must(r.rows.Close())
	})
}
