package changelog

import (
	"testing"

	"cdc/schema"
)

// logged puts a unit of the source and epoch into the catalog.
func logged(t *testing.T, c *Catalog, n Offset, epoch Epoch, add func(*UnitBuilder)) {
	t.Helper()
	var b UnitBuilder
	b.Reset(UnitControl)
	b.Meta.Source, b.Meta.Epoch, b.Meta.First = 1, epoch, n
	add(&b)
	b.Meta.Count = b.Offsets()
	if err := c.Apply(&b.Meta, b.CatalogSection); err != nil {
		t.Fatal(err)
	}
}

// again is the catalog as a restart finds it.
func again(t *testing.T, c *Catalog) *Catalog {
	t.Helper()
	loaded, err := LoadDictionary(c.AppendDictionary(nil))
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func register(t *testing.T, c *Catalog, epoch Epoch, name string, number uint32) *schema.Table {
	t.Helper()
	table := &schema.Table{
		Source: "shop", Schema: "public", Name: name, SourceTable: number,
		Columns: []schema.Column{{ID: 1, Name: "id", Kind: schema.Int64, Key: 1}},
	}
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	return c.Register(epoch, table)
}

func copied(id schema.TableID) func(*UnitBuilder) {
	return func(b *UnitBuilder) { b.AddTableState(TableState{Table: id, State: TableCopied}) }
}

// A table whose shape has not changed keeps the version of an earlier epoch, and is all the same known in this one.
func TestTableOfAnEarlierEpochIsFollowedByNumber(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		c := NewCatalog()
		orders := register(t, c, 1, "orders", 10)
		logged(t, c, 1, 1, func(b *UnitBuilder) { b.AddTable(orders) })
		if register(t, c, 2, "orders", 10) != orders {
			t.Fatal("a table that has not changed takes another version")
		}
		logged(t, c, 2, 2, copied(orders.ID))
		if restarted {
			c = again(t, c)
		}
		renamed := register(t, c, 2, "purchases", 10)
		if renamed.ID != orders.ID {
			t.Errorf("restarted=%t: renamed in the second epoch, table %d becomes %d", restarted, orders.ID, renamed.ID)
		}
		if restarted {
			c = again(t, c)
		}
		if other := register(t, c, 2, "orders", 11); other.ID == orders.ID {
			t.Errorf("restarted=%t: another table made under the name in the same epoch is table %d too", restarted, other.ID)
		}
	}
}

func TestTableRecreatedInALaterEpochIsAnotherTable(t *testing.T) {
	c := NewCatalog()
	orders := register(t, c, 1, "orders", 10)
	logged(t, c, 1, 1, func(b *UnitBuilder) { b.AddTable(orders) })
	register(t, c, 2, "orders", 10)
	logged(t, c, 2, 2, copied(orders.ID))
	if recreated := register(t, again(t, c), 2, "orders", 11); recreated.ID == orders.ID {
		t.Errorf("a table dropped and made again in one epoch is still table %d", recreated.ID)
	}
}

// A name that a table had once may be another's by the next epoch.
func TestFormerNamesDoNotIdentifyATable(t *testing.T) {
	c := NewCatalog()
	first := register(t, c, 1, "orders", 10)
	renamed := register(t, c, 1, "orders_old", 10)
	if renamed.ID != first.ID {
		t.Fatalf("renamed, table %d becomes %d", first.ID, renamed.ID)
	}
	fresh := register(t, c, 2, "orders", 30)
	old := register(t, c, 2, "orders_old", 10)
	if fresh.ID == old.ID || old.ID != first.ID {
		t.Errorf("table %d, renamed, is %d; the one that took its name is %d", first.ID, old.ID, fresh.ID)
	}
}

func TestFormerNumbersDoNotIdentifyATable(t *testing.T) {
	c := NewCatalog()
	first := register(t, c, 1, "orders", 10)
	if moved := register(t, c, 2, "orders", 30); moved.ID != first.ID {
		t.Fatalf("restored under another number, table %d becomes %d", first.ID, moved.ID)
	}
	if other := register(t, c, 2, "customers", 10); other.ID == first.ID {
		t.Errorf("a table that got the number of the epoch before is table %d too", other.ID)
	}
}

func TestTablesThatSwapNamesKeepTheirNumbers(t *testing.T) {
	c := NewCatalog()
	a, b := register(t, c, 1, "a", 10), register(t, c, 1, "b", 11)
	if now := register(t, c, 1, "b", 10); now.ID != a.ID {
		t.Errorf("table %d, renamed to b, is %d", a.ID, now.ID)
	}
	if now := register(t, c, 1, "a", 11); now.ID != b.ID {
		t.Errorf("table %d, renamed to a, is %d", b.ID, now.ID)
	}
	if now := register(t, c, 2, "a", 40); now.ID != b.ID {
		t.Errorf("in the next epoch the table named a is %d, not %d", now.ID, b.ID)
	}
}

func TestDroppedTableIsNotTakenUpAgainByName(t *testing.T) {
	c := NewCatalog()
	orders := register(t, c, 1, "orders", 10)
	logged(t, c, 1, 1, func(b *UnitBuilder) {
		b.AddTable(orders)
		b.AddTableState(TableState{Table: orders.ID, State: TableDropped})
	})
	if later := register(t, c, 2, "orders", 11); later.ID == orders.ID {
		t.Errorf("a table made after the drop is table %d again", later.ID)
	}
}

// Of the whole source: a stop of one table does not stop the others.
func TestG2StopIsOpenUntilADecisionOrANewEpoch(t *testing.T) {
	source := func(epoch Epoch) func(*UnitBuilder) {
		return func(b *UnitBuilder) { b.AddSource(SourceInfo{ID: 1, Epoch: epoch, Name: "shop"}) }
	}
	stop := func(b *UnitBuilder) { b.AddStop(Stop{Kind: StopGap}) }
	for name, end := range map[string]struct {
		epoch Epoch
		add   func(*UnitBuilder)
	}{
		"decision":  {1, func(b *UnitBuilder) { b.AddDecision(Decision{Action: "accept-gap"}) }},
		"new epoch": {2, source(2)},
	} {
		c := NewCatalog()
		logged(t, c, 1, 1, source(1))
		logged(t, c, 2, 1, stop)
		if _, open := c.OpenStop(1); !open {
			t.Fatalf("%s: the stop is not open", name)
		}
		logged(t, c, 3, end.epoch, end.add)
		if _, open := c.OpenStop(1); open {
			t.Errorf("%s: the stop is still open", name)
		}
		logged(t, c, 4, end.epoch, stop)
		if s, open := again(t, c).OpenStop(1); !open || s.Offset != 4 {
			t.Errorf("%s: a later stop is not open", name)
		}
	}
}

// Of the chunks of a reread only the newest counts, also for the size of a dictionary, and the table's state stays what it is.
func TestRereadIsWhereItsNewestRecordSays(t *testing.T) {
	c := NewCatalog()
	orders := register(t, c, 1, "orders", 10)
	logged(t, c, 1, 1, func(b *UnitBuilder) { b.AddSource(SourceInfo{ID: 1, Epoch: 1, Name: "shop"}) })
	logged(t, c, 2, 1, func(b *UnitBuilder) { b.AddTable(orders) })
	logged(t, c, 4, 1, copied(orders.ID))
	before, _ := c.TableAt(orders.ID, 100)
	for n := Offset(10); n < 12; n++ {
		logged(t, c, n, 1, func(b *UnitBuilder) {
			b.AddDecision(Decision{Action: ActionReread, Table: orders.ID, Detail: "id > 5"})
		})
	}
	under := func(at Offset, r Reread) {
		r.Table = orders.ID
		logged(t, c, at, 1, func(b *UnitBuilder) { b.AddReread(r) })
	}
	size := 0
	for n := Offset(20); n < 30; n++ {
		under(n, Reread{Asked: 10, Stage: RereadUnderWay, Cursor: "c"})
		if n == 20 {
			size = len(c.AppendDictionary(nil))
		}
	}
	if now := len(c.AppendDictionary(nil)); now != size {
		t.Errorf("the dictionary has grown from %d to %d bytes", size, now)
	}
	under(30, Reread{Asked: 11, Stage: RereadEnded, Detail: "why"})
	for _, c := range []*Catalog{c, again(t, c)} {
		all := c.Rereads()
		if len(all) != 2 || all[0].Since != 29 || all[0].Last.Cursor != "c" || all[0].Last.Stage.Over() || all[0].Asked.Detail != "id > 5" {
			t.Fatalf("%+v", all)
		}
		if last := all[1].Last; last.Stage != RereadEnded || !last.Stage.Over() || last.Detail != "why" {
			t.Errorf("%+v", last)
		}
		if at, _ := c.TableAt(orders.ID, 100); at.State != before.State || at.StateSince != before.StateSince || at.From != before.From {
			t.Errorf("the table was %+v and is %+v", before, at)
		}
	}
}
