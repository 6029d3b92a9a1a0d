package changelog

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"cdc/schema"

	"pgregory.net/rapid"
)

// newTestTable is a prepared table registered with the catalog.
func newTestTable(t testing.TB, c *Catalog, name string, number uint32) *schema.Table {
	t.Helper()
	table := &schema.Table{
		Source: "shop", Schema: "public", Name: name, SourceTable: number,
		Columns: []schema.Column{{ID: 1, Name: "id", Kind: schema.Int64, Key: 1}, {ID: 2, Name: "note", Kind: schema.Text}},
	}
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	return c.Register(1, table)
}

func packRow(t testing.TB, table *schema.Table, id int64, note string) []byte {
	t.Helper()
	var b schema.Builder
	b.Reset(table.Layout(), nil)
	b.Int(0, id)
	b.String(1, note)
	row, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func TestUnitReadsAsItWasBuilt(t *testing.T) {
	c := NewCatalog()
	table := newTestTable(t, c, "orders", 7)
	row := packRow(t, table, 5, "five")
	var b UnitBuilder
	b.Reset(UnitTx)
	b.Meta.Source, b.Meta.Epoch, b.Meta.First, b.Meta.XID, b.Meta.Position = 1, 2, 100, 9, "position"
	b.Meta.CommitTime, b.Meta.Clock = 11, 12
	b.AddTag(Tag{Name: "tag", Offset: 1})
	b.RowChange(OpCreate, table, ImageNone, nil, row, nil)
	b.RowChange(OpUpdate, table, ImageKey, row, row, []byte{2})
	b.RowChange(OpDelete, table, ImageFull, row, nil, nil)
	b.Truncate(table, TruncateOptions{Cascade: true, RestartIdentity: true})
	b.Message([]byte("p"), []byte("content"))
	raw, err := b.AppendUnit([]byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	var u Unit
	size, err := DecodeUnit(raw[len("before"):], &u)
	if err != nil || size != len(raw)-len("before") {
		t.Fatalf("%d of %d bytes, %v", size, len(raw), err)
	}
	u.LoadPosition()
	if u.Meta != b.Meta || u.Meta.Count != 7 || u.Meta.Commit() != 106 || u.Changes() != 5 {
		t.Fatalf("%+v becomes %+v with %d changes", b.Meta, u.Meta, u.Changes())
	}
	u.Attach(c, nil, nil)
	var ops []byte
	for n := (Change{}); ; {
		ok, err := u.Next(&n)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if n.Offset != 101+Offset(len(ops)) || n.Ordinal != uint64(len(ops)) {
			t.Fatalf("change %d: %+v", len(ops), n)
		}
		ops = append(ops, byte(n.Op))
		for _, r := range []schema.Row{n.Before, n.After} {
			if !r.IsZero() && !bytes.Equal(r.Raw(), row) {
				t.Fatalf("row of change %c differs", n.Op)
			}
		}
	}
	if string(ops) != "cudtm" {
		t.Fatalf("ops %s", ops)
	}
}

func TestUnitCutAnywhereIsAnError(t *testing.T) {
	c := NewCatalog()
	table := newTestTable(t, c, "orders", 7)
	var b UnitBuilder
	b.Reset(UnitTx)
	b.Meta.First, b.Meta.Position = 1, "position"
	b.AddTable(table)
	b.RowChange(OpCreate, table, ImageNone, nil, packRow(t, table, 1, "one"), nil)
	raw, err := b.AppendUnit(nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range raw {
		var u Unit
		if _, err := DecodeUnit(raw[:n], &u); !errors.Is(err, ErrUnit) {
			t.Fatalf("%d of %d bytes: %v", n, len(raw), err)
		}
	}
}

// Numbers of records that the header claims are compared with what there is.
func TestUnitThatMissesAChangeIsAnError(t *testing.T) {
	c := NewCatalog()
	table := newTestTable(t, c, "orders", 7)
	var b UnitBuilder
	b.Reset(UnitTx)
	b.RowChange(OpCreate, table, ImageNone, nil, packRow(t, table, 1, "one"), nil)
	raw, err := b.AppendUnit(nil)
	if err != nil {
		t.Fatal(err)
	}
	raw[32]++ // offsets taken
	var u Unit
	if _, err := DecodeUnit(raw, &u); err != nil {
		t.Fatal(err)
	}
	u.Attach(c, nil, nil)
	var n Change
	if ok, err := u.Next(&n); !ok || err != nil {
		t.Fatal(err)
	}
	if _, err := u.Next(&n); !errors.Is(err, ErrUnit) {
		t.Fatalf("a change less than the header says: %v", err)
	}
}

func TestCatalogIsAppliedAsAWholeOrNotAtAll(t *testing.T) {
	c := NewCatalog()
	var b UnitBuilder
	b.Reset(UnitControl)
	b.Meta.First = 1
	b.AddTag(Tag{Name: "tag", Offset: 1})
	b.AddSource(SourceInfo{ID: 9, Name: "out of order"})
	b.Meta.Count = b.Offsets()
	if err := c.Apply(&b.Meta, b.CatalogSection); !errors.Is(err, ErrUnit) {
		t.Fatalf("a source out of order: %v", err)
	}
	if tags := c.Tags(); len(tags) != 0 {
		t.Fatalf("the catalog holds %v of a unit that was refused", tags)
	}
}

func TestTableThatHasNotChangedKeepsItsVersion(t *testing.T) {
	c := NewCatalog()
	first := newTestTable(t, c, "orders", 7)
	if again := newTestTable(t, c, "orders", 7); again != first {
		t.Fatalf("version %d becomes %d", first.Version, again.Version)
	}
	other := newTestTable(t, c, "orders_old", 8)
	renamed := newTestTable(t, c, "purchases", 7)
	if other.ID == first.ID || renamed.ID != first.ID || renamed.Version == first.Version {
		t.Fatalf("ids %d, %d and renamed %d", first.ID, other.ID, renamed.ID)
	}
}

// A catalog that is written as a dictionary and read again answers the same.
func TestDictionaryHoldsTheWholeCatalog(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := NewCatalog()
		next := Offset(1)
		apply := func(b *UnitBuilder) {
			b.Meta.First, b.Meta.Count = next, b.Offsets()
			if err := c.Apply(&b.Meta, b.CatalogSection); err != nil {
				rt.Fatal(err)
			}
			next += Offset(b.Meta.Count)
		}
		var b UnitBuilder
		b.Reset(UnitControl)
		b.Meta.Source, b.Meta.Epoch = 1, 1
		b.AddSource(SourceInfo{ID: 1, Epoch: 1, Name: "shop", Kind: "postgres", Identity: []Fact{{"slot", "cdc"}}})
		apply(&b)
		for range rapid.IntRange(0, 20).Draw(rt, "units") {
			b.Reset(UnitTx)
			b.Meta.Source, b.Meta.Epoch, b.Meta.Clock = 1, 1, Micros(rapid.Int64().Draw(rt, "clock"))
			b.Meta.Position = Position(rapid.String().Draw(rt, "position"))
			switch rapid.IntRange(0, 6).Draw(rt, "record") {
			case 0:
				b.AddTable(newTestTable(t, c, rapid.StringN(1, 3, -1).Draw(rt, "name"), rapid.Uint32Range(1, 4).Draw(rt, "number")))
			case 1:
				b.AddTableState(TableState{Table: 1, State: TableStateKind(rapid.IntRange(1, 5).Draw(rt, "state"))})
			case 2:
				b.AddTag(Tag{Name: rapid.String().Draw(rt, "tag"), Offset: next})
			case 3:
				b.AddStop(Stop{Kind: StopGap, Detail: rapid.String().Draw(rt, "detail"), At: 3})
			case 4:
				b.AddDecision(Decision{Action: "recopy", Table: 1, At: 4})
			case 5:
				b.AddReread(Reread{Table: 1, Asked: Offset(rapid.IntRange(1, 3).Draw(rt, "asked")), Stage: RereadUnderWay, Cursor: rapid.String().Draw(rt, "cursor")})
			default:
			}
			apply(&b)
		}
		dictionary := c.AppendDictionary(nil)
		loaded, err := LoadDictionary(dictionary)
		if err != nil {
			rt.Fatal(err)
		}
		if again := loaded.AppendDictionary(nil); !bytes.Equal(again, dictionary) {
			rt.Fatal("the dictionary of what was read from a dictionary differs")
		}
		for n := Offset(0); n <= next; n++ {
			was, is := c.TablesAt(n), loaded.TablesAt(n)
			if len(was) != len(is) {
				rt.Fatalf("%d tables at %d, %d after reading", len(was), n, len(is))
			}
			for i := range was {
				if was[i].Table.Version != is[i].Table.Version || was[i].State != is[i].State || was[i].KnownFrom != is[i].KnownFrom {
					rt.Fatalf("table at %d: %+v, after reading %+v", n, was[i], is[i])
				}
			}
		}
		if c.Progress(1) != loaded.Progress(1) || !reflect.DeepEqual(c.Tags(), loaded.Tags()) || !reflect.DeepEqual(c.Stops(), loaded.Stops()) {
			rt.Fatal("progress, tags or stops differ")
		}
	})
}

func FuzzDecodeUnit(f *testing.F) {
	c := NewCatalog()
	table := newTestTable(f, c, "orders", 7)
	var b UnitBuilder
	b.Reset(UnitTx)
	b.Meta.Position = "position"
	b.AddTable(table)
	b.RowChange(OpUpdate, table, ImageKey, packRow(f, table, 1, "one"), packRow(f, table, 1, "two"), nil)
	b.Message([]byte("p"), []byte("c"))
	raw, err := b.AppendUnit(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	b.Reset(UnitTick)
	if raw, err = b.AppendUnit(nil); err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		var u Unit
		size, err := DecodeUnit(b, &u)
		if err != nil {
			return
		}
		if size < headerBytes || size > len(b) {
			t.Fatalf("a unit of %d bytes in %d", size, len(b))
		}
		u.LoadPosition()
		_ = NewCatalog().Apply(&u.Meta, u.CatalogRecords)
		_ = u.ChangeVersions(func(schema.VersionID) {})
		u.Attach(c, nil, nil)
		for n := (Change{}); ; {
			if ok, err := u.Next(&n); !ok || err != nil {
				return
			}
		}
	})
}

func FuzzLoadDictionary(f *testing.F) {
	c := NewCatalog()
	f.Add(c.AppendDictionary(nil))
	var b UnitBuilder
	b.Reset(UnitControl)
	b.Meta.First, b.Meta.Source = 1, 1
	b.AddSource(SourceInfo{ID: 1, Epoch: 1, Name: "shop"})
	b.AddTable(newTestTable(f, c, "orders", 7))
	b.AddTag(Tag{Name: "tag", Offset: 1})
	b.Meta.Count = b.Offsets()
	if err := c.Apply(&b.Meta, b.CatalogSection); err != nil {
		f.Fatal(err)
	}
	f.Add(c.AppendDictionary(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := LoadDictionary(b)
		if err != nil {
			return
		}
		if _, err := LoadDictionary(c.AppendDictionary(nil)); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	})
}

func TestUnitRefusesWhatNoReaderAccepts(t *testing.T) {
	c := NewCatalog()
	table := newTestTable(t, c, "orders", 7)
	row := packRow(t, table, 1, "one")
	unregistered := &schema.Table{Name: "new", Columns: table.Columns}
	for name, add := range map[string]func(*UnitBuilder){
		"delete without an old row":      func(b *UnitBuilder) { b.RowChange(OpDelete, table, ImageNone, nil, nil, nil) },
		"delete with a new row":          func(b *UnitBuilder) { b.RowChange(OpDelete, table, ImageKey, row, row, nil) },
		"create with an old row":         func(b *UnitBuilder) { b.RowChange(OpCreate, table, ImageFull, row, row, nil) },
		"update without a new row":       func(b *UnitBuilder) { b.RowChange(OpUpdate, table, ImageFull, row, nil, nil) },
		"unknown op":                     func(b *UnitBuilder) { b.RowChange('x', table, ImageNone, nil, row, nil) },
		"version that is not registered": func(b *UnitBuilder) { b.RowChange(OpCreate, unregistered, ImageNone, nil, row, nil) },
	} {
		var b UnitBuilder
		b.Reset(UnitTx)
		add(&b)
		b.RowChange(OpCreate, table, ImageNone, nil, row, nil)
		if _, err := b.AppendUnit(nil); err == nil || b.Err() == nil {
			t.Errorf("%s: the unit was encoded", name)
		}
		b.Reset(UnitTx)
		if _, err := b.AppendUnit(nil); err != nil {
			t.Errorf("%s: the builder was not emptied: %v", name, err)
		}
	}
}

func TestUnitThatIsTooLargeSaysSo(t *testing.T) {
	var b UnitBuilder
	b.Reset(UnitTx)
	b.Message([]byte("p"), make([]byte, MaxUnitBytes))
	if _, err := b.AppendUnit(nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("encode: %v", err)
	}
	b.Reset(UnitTx)
	if cap(b.changes) > keepChangeBytes {
		t.Errorf("the builder keeps %d bytes", cap(b.changes))
	}
}

// Whoever completes changes sees all of them, those that are left out for the reader too, and its error is the reader's.
func TestCompleteSeesWhatKeepLeavesOut(t *testing.T) {
	c := NewCatalog()
	orders, users := newTestTable(t, c, "orders", 7), newTestTable(t, c, "users", 8)
	var b UnitBuilder
	b.Reset(UnitTx)
	b.Meta.Source, b.Meta.Epoch, b.Meta.First = 1, 1, 100
	for _, table := range []*schema.Table{orders, users, orders} {
		b.RowChange(OpUpdate, table, ImageNone, nil, packRow(t, table, 5, "new"), nil)
	}
	raw, err := b.AppendUnit(nil)
	if err != nil {
		t.Fatal(err)
	}
	old, err := orders.Layout().Row(packRow(t, orders, 5, "old"))
	if err != nil {
		t.Fatal(err)
	}
	read := func(fail error) (seen, kept []string, err error) {
		var u Unit
		if _, err := DecodeUnit(raw, &u); err != nil {
			t.Fatal(err)
		}
		u.Attach(c, nil, nil)
		u.Keep(func(table *schema.Table) bool { return table == orders })
		u.Complete(func(c *Change) error {
			seen = append(seen, c.Table.Name)
			c.Before, c.Image = old, ImageFull
			return fail
		})
		var change Change
		for {
			ok, err := u.Next(&change)
			if !ok || err != nil {
				return seen, kept, err
			}
			kept = append(kept, change.Table.Name+" "+string(change.Before.Bytes(1)))
		}
	}
	seen, kept, err := read(nil)
	if want := []string{"orders old", "orders old"}; err != nil || len(seen) != 3 || !reflect.DeepEqual(kept, want) {
		t.Fatalf("%v seen, %v kept, error %v", seen, kept, err)
	}
	full := errors.New("the disk is full")
	if seen, kept, err = read(full); !errors.Is(err, full) || len(seen) != 1 || kept != nil {
		t.Fatalf("%v seen, %v kept, error %v", seen, kept, err)
	}
}
