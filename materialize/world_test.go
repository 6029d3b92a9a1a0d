package materialize

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"testing"

	"cdc/changelog"
	"cdc/schema"
)

var ctxb = context.Background()

// world writes a made-up source to a log and keeps, for every commit, what each table held then, by the plainest means.
type world struct {
	t      testing.TB
	log    changelog.Log
	source changelog.SourceID
	epoch  changelog.Epoch
	unit   changelog.UnitBuilder
	xid    uint64
	clock  changelog.Micros
}

func newWorld(t testing.TB, log changelog.Log, name, kind string) *world {
	w := &world{t: t, log: log, source: log.Catalog().NextSource(name), epoch: 1, clock: 1_700_000_000_000_000}
	w.unit.Reset(changelog.UnitControl)
	w.unit.Meta.Source, w.unit.Meta.Epoch = w.source, w.epoch
	w.unit.AddSource(changelog.SourceInfo{ID: w.source, Epoch: w.epoch, Name: name, Kind: kind})
	w.append()
	w.unit.Reset(changelog.UnitTx)
	return w
}

func (w *world) append() changelog.Offset {
	w.t.Helper()
	n, err := w.log.Append(ctxb, &w.unit)
	if err != nil {
		w.t.Fatal(err)
	}
	w.unit.Reset(changelog.UnitTx)
	return n
}

// commit ends the open transaction one millisecond after the one before it.
func (w *world) commit() changelog.Offset { return w.commitAt(w.clock + 1000) }

func (w *world) commitAt(t changelog.Micros) changelog.Offset {
	w.xid++
	w.clock = max(w.clock, t)
	return w.commitAs(changelog.UnitTx, t)
}

func (w *world) commitAs(kind changelog.UnitKind, t changelog.Micros) changelog.Offset {
	w.t.Helper()
	m := &w.unit.Meta
	m.Kind, m.Source, m.Epoch, m.XID, m.CommitTime, m.Clock = kind, w.source, w.epoch, w.xid, t, t
	m.Position = position(w.log.Bounds().Next)
	return w.append()
}

// position is a made-up position that grows with the log: the offset of the unit's first record, times ten.
func position(n changelog.Offset) changelog.Position {
	return changelog.Position(binary.BigEndian.AppendUint64(nil, uint64(n)*10))
}

func (w *world) tick(t changelog.Micros) changelog.Offset {
	w.unit.Reset(changelog.UnitTick)
	return w.commitAs(changelog.UnitTick, t)
}

func (w *world) register(t *schema.Table) *schema.Table {
	w.t.Helper()
	if err := t.Prepare(); err != nil {
		w.t.Fatal(err)
	}
	t = w.log.Catalog().Register(w.epoch, t)
	if !w.log.Catalog().Logged(t.Version) {
		w.unit.AddTable(t)
	}
	return t
}

func (w *world) state(t *schema.Table, s changelog.TableStateKind) {
	w.unit.AddTableState(changelog.TableState{Table: t.ID, State: s})
}

// ordersTable is a table with a key of one column.
func ordersTable(name string, number uint32) *schema.Table {
	return &schema.Table{
		Source: "shop", Schema: "public", Name: name, SourceTable: number, Identity: schema.IdentityKey,
		Columns: []schema.Column{
			{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", NotNull: true, Key: 1},
			{ID: 2, Name: "note", Kind: schema.Text, SQLType: "text"},
			{ID: 3, Name: "amount", Kind: schema.Int32, SQLType: "integer"},
		},
	}
}

// pack packs a row from the texts of its values; "" is null, "-" leaves the column absent.
func pack(t testing.TB, table *schema.Table, values ...string) []byte {
	t.Helper()
	var b schema.Builder
	b.Reset(table.Layout(), nil)
	for i, v := range values {
		switch v {
		case "-":
		case "":
			b.Null(i)
		default:
			if err := schema.ParseText(&b, i, &table.Columns[i], []byte(v)); err != nil {
				t.Fatal(err)
			}
		}
	}
	raw, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// show prints a row with its columns' names.
func show(table *schema.Table, r schema.Row) string {
	var b []byte
	for i := range table.Columns {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(append(b, table.Columns[i].Name...), '=')
		switch r.State(i) {
		case schema.Present:
			b = schema.AppendText(b, &table.Columns[i], r, i)
		case schema.Null:
			b = append(b, "null"...)
		case schema.Absent:
			b = append(b, "absent"...)
		}
	}
	return string(b)
}

// rebuild asks for one table and prints its rows, in the order they came in.
func rebuild(t testing.TB, log changelog.Log, r Request, o Options) []string {
	t.Helper()
	all := rebuildAll(t, log, []Request{r}, o)
	return all[0]
}

func rebuildAll(t testing.TB, log changelog.Log, requests []Request, o Options) [][]string {
	t.Helper()
	all := make([][]string, len(requests))
	err := Tables(ctxb, log, requests, o, func(b *Batch) error {
		for i := range b.Len() {
			all[b.Request] = append(all[b.Request], show(b.Table, b.Row(i)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// naive replays the log from its beginning with a map, for the table at the commit. It knows nothing of copies but that they
// replace what was there.
func naive(t testing.TB, log changelog.Log, id schema.TableID, at changelog.Offset) []string {
	t.Helper()
	final, ok := log.Catalog().TableAt(id, at)
	if !ok {
		t.Fatalf("table %d is not known at %d", id, at)
	}
	c, err := log.Cursor(changelog.CursorOptions{To: at})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var rows []naiveRow
	for {
		u, err := c.Next(ctxb)
		if err != nil {
			break
		}
		if now, ok := log.Catalog().TableAt(id, u.Meta.Commit()); ok && now.StateSince == u.Meta.Commit() && now.KnownFrom == now.StateSince {
			rows = nil
		}
		var ch changelog.Change
		for {
			ok, err := u.Next(&ch)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if ch.Table != nil && ch.Table.ID == id {
				rows = naiveApply(rows, &ch)
			}
		}
	}
	var out []string
	for _, r := range rows {
		conv, err := schema.NewConverter(r.table, final.Table)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := conv.Convert(nil, view(r.table, r.raw))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, show(final.Table, view(final.Table, raw)))
	}
	sort.Strings(out)
	return out
}

type naiveRow struct {
	table *schema.Table
	raw   []byte
}

func view(t *schema.Table, raw []byte) schema.Row {
	r, err := t.Layout().Row(raw)
	if err != nil {
		panic(err)
	}
	return r
}

func naiveApply(rows []naiveRow, c *changelog.Change) []naiveRow {
	if c.Op == changelog.OpTruncate {
		return nil
	}
	if c.Op == changelog.OpDelete || c.Op == changelog.OpUpdate {
		old := c.Before
		if old.IsZero() {
			old = c.After
		}
		for i, r := range rows {
			if naiveSame(r, c.Table, old) {
				rows = slices.Delete(rows, i, i+1)
				break
			}
		}
	}
	if c.Op != changelog.OpDelete {
		if identityOf(c.Table) == byKey && c.Op != changelog.OpUpdate {
			for i, r := range rows {
				if naiveSame(r, c.Table, c.After) {
					rows = slices.Delete(rows, i, i+1)
					break
				}
			}
		}
		rows = append(rows, naiveRow{c.Table, slices.Clone(c.After.Raw())})
	}
	return rows
}

// naiveSame reports whether the stored row is the one that old, of version t, names.
func naiveSame(r naiveRow, t *schema.Table, old schema.Row) bool {
	raw := r.raw
	if r.table != t {
		conv, err := schema.NewConverter(r.table, t)
		if err != nil {
			panic(err)
		}
		if raw, err = conv.Convert(nil, view(r.table, r.raw)); err != nil {
			panic(err)
		}
	}
	if len(t.KeyColumns()) == 0 {
		return bytes.Equal(raw, old.Raw())
	}
	a, err1 := schema.AppendKey(nil, t, view(t, raw))
	b, err2 := schema.AppendKey(nil, t, old)
	if err1 != nil || err2 != nil {
		panic(fmt.Sprint(err1, err2))
	}
	return bytes.Equal(a, b)
}
