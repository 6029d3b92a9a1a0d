package materialize

import (
	"errors"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/schema"
)

func TestFindTableReadsNames(t *testing.T) {
	log := newMemLog()
	shop, crm := newWorld(t, log, "shop", "postgres"), newWorld(t, log, "crm", "postgres")
	number := uint32(0)
	add := func(w *world, source, schemaName, name string) {
		number++
		table := ordersTable(name, number)
		table.Source, table.Schema = source, schemaName
		w.state(w.register(table), changelog.TableEmpty)
	}
	add(shop, "shop", "public", "orders")
	add(shop, "shop", "public", "products")
	add(shop, "shop", "Sales", "Orders")
	add(shop, "shop", "public", "odd.name")
	add(shop, "shop", "my-app", "a b")
	shop.commit()
	add(crm, "crm", "public", "products")
	crm.commit()
	cut := changelog.Cut{Default: durableEnd(log)}
	for name, want := range map[string]string{
		"orders":               "shop.public.orders",
		"ORDERS":               "shop.public.orders",
		"public.orders":        "shop.public.orders",
		"Sales.Orders":         `shop."Sales"."Orders"`,
		`"Orders"`:             `shop."Sales"."Orders"`,
		"crm.public.products":  "crm.public.products",
		"SHOP.public.Products": "shop.public.products",
		`public."odd.name"`:    `shop.public."odd.name"`,
	} {
		got, err := FindTable(ctxb, log, name, cut)
		if err != nil || got.Table.FullName() != want {
			t.Errorf("%s: %v, %v", name, got.Table, err)
		}
	}
	for name, says := range map[string]string{
		"products":             "could mean shop.public.products or crm.public.products",
		"Orders":               `could mean shop.public.orders or shop."Sales"."Orders"`,
		"prodcts":              "did you mean products?",
		"shop.public.ordrs":    "did you mean shop.public.orders?",
		`"ORDERS"`:             "there is no table",
		"a.b.c.d":              "there is no table",
		"":                     "there is no table",
		"orders.":              "there is no table",
		`"orders`:              "none closes it",
		`"orders"x`:            "comes a point or the end",
		"odd.name":             `did you mean shop.public."odd.name"?`,
		"public.odd.name":      `did you mean shop.public."odd.name"?`,
		"shop.public.odd.name": `did you mean shop.public."odd.name"?`,
		"my-app.ab":            `did you mean "my-app"."a b"?`,
		`"my-app"."ab"`:        `did you mean "my-app"."a b"?`,
	} {
		_, err := FindTable(ctxb, log, name, cut)
		var e *NameError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, which does not say %q", name, err, says)
		}
	}
}

func TestG6MomentsThatTheLogCannotAnswerAreRefusedByName(t *testing.T) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	w.commitless()
	before := durableEnd(log)
	orders := w.register(ordersTable("orders", 1))
	w.state(orders, changelog.TableCopied)
	w.unit.RowChange(changelog.OpRead, orders, changelog.ImageNone, nil, pack(t, orders, "1", "a", "1"), nil)
	copied := w.commitAs(changelog.UnitCopy, w.clock+1000)
	copiedAt := w.clock + 1000
	w.state(orders, changelog.TableRewritten)
	rewritten := w.commit()
	w.state(orders, changelog.TableCopied)
	again := w.commitAs(changelog.UnitCopy, w.clock)
	w.state(orders, changelog.TableDropped)
	dropped := w.commit()

	find := func(at changelog.Offset) error {
		_, err := FindTable(ctxb, log, "orders", changelog.Cut{Default: at})
		tables := Tables(ctxb, log, []Request{{Table: orders.ID, At: at}}, Options{}, func(*Batch) error { return nil })
		if (err == nil) != (tables == nil) {
			t.Errorf("at %d the name says %v and the table %v", at, err, tables)
		}
		return err
	}
	for _, at := range []changelog.Offset{copied, again} {
		if err := find(at); err != nil {
			t.Errorf("at %d: %v", at, err)
		}
	}
	for at, why := range map[changelog.Offset]string{
		before: "known only from a later moment", rewritten: "rewrote", dropped: "is dropped",
	} {
		var e *UnanswerableError
		if err := find(at); !errors.As(err, &e) || !strings.Contains(e.Why, why) {
			t.Errorf("at %d: %v", at, err)
			continue
		}
		if e.Table != "shop.public.orders" || e.Earliest != (Instant{copied, copiedAt}) || e.Latest.Offset != dropped-1 {
			t.Errorf("at %d: earliest %v, latest %v", at, e.Earliest, e.Latest)
		}
	}
	var e *UnanswerableError
	if err := find(dropped + 100); !errors.As(err, &e) {
		t.Errorf("past the end: %v", err)
	}
}

// What an ambiguous name could mean must itself be read as that one table.
func TestFullNamesAreReadBack(t *testing.T) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	names := []string{"upper", "UPPER", "Upper", "with space", `a"b`, "a.b", "ünï", "select", "1st"}
	for i, name := range names {
		w.state(w.register(ordersTable(name, uint32(i+1))), changelog.TableEmpty)
	}
	cut := changelog.Cut{Default: w.commit()}
	for _, at := range log.Catalog().TablesAt(cut.Default) {
		got, err := FindTable(ctxb, log, at.Table.FullName(), cut)
		if err != nil || got.Table != at.Table {
			t.Errorf("%s: %v, %v", at.Table.FullName(), got.Table, err)
		}
	}
}

// A source that stands still must not keep the others' tables from being asked for.
func TestMomentWaitsForTheSourcesOfTheTablesOnly(t *testing.T) {
	log := newMemLog()
	shop, crm := newWorld(t, log, "shop", "postgres"), newWorld(t, log, "crm", "postgres")
	shop.state(shop.register(ordersTable("orders", 1)), changelog.TableEmpty)
	shop.commit()
	people := ordersTable("people", 2)
	people.Source = "crm"
	crm.state(crm.register(people), changelog.TableEmpty)
	crm.commit()
	shop.tick(shop.clock + 1_000_000)
	m := AtTime(shop.clock + 500_000)
	for _, x := range []struct {
		tables []string
		fine   bool
	}{
		{[]string{"orders"}, true},
		{[]string{"shop.public.orders"}, true},
		{nil, false},
		{[]string{"people"}, false},
		{[]string{"orders", "people"}, false},
		{[]string{"orders", "nothing"}, false},
		{[]string{`"`}, false},
	} {
		_, err := Resolve(ctxb, log, m, ResolveOptions{Wait: -1, Sources: SourcesOf(log, x.tables...)})
		var e *UnanswerableError
		if x.fine != (err == nil) || err != nil && !errors.As(err, &e) {
			t.Errorf("%q: %v", x.tables, err)
		}
	}
}

func TestNameThatATableBearsOnlyLaterIsUnknownBefore(t *testing.T) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	w.state(w.register(ordersTable("before", 1)), changelog.TableEmpty)
	before := w.commit()
	w.register(ordersTable("after", 1))
	w.commit()
	_, err := FindTable(ctxb, log, "after", changelog.Cut{Default: before})
	var e *NameError
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "did you mean shop.public.before?") {
		t.Errorf("got %v", err)
	}
}

// A column that cannot be written as it is stands in double quotes, and is offered in them.
func TestColumnsAreFoundInQuotes(t *testing.T) {
	table := &schema.Table{Source: "shop", Schema: "public", Name: "a b", Columns: []schema.Column{{Name: "a=b"}, {Name: `"x"`}, {Name: "Total"}}}
	for name, want := range map[string]int{"a=b": 0, `"a=b"`: 0, `"x"`: 1, `"""x"""`: 1, "total": 2, "TOTAL": 2, `"Total"`: 2} {
		if i, err := findColumn(table, name); err != nil || i != want {
			t.Errorf("%s: column %d, %v, want %d", name, i, err, want)
		}
	}
	_, err := findColumn(table, `"a=c"`)
	if want := `there is no column shop.public."a b"."a=c"; did you mean "a=b"?`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestLongListsOfMatchesAreCut(t *testing.T) {
	e := &NameError{Kind: "table", Name: "t", Matches: []string{"a", "b", "c", "d", "e", "f", "g", "h"}}
	if want := "table t could mean a or b or c or d or e or f or one of 2 more; name one of them"; e.Error() != want {
		t.Errorf("%s, want %s", e, want)
	}
}
