package main

import (
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/present"
	"cdc/schema"
)

// How far a copy is, how fast, and how long the rest takes is said while it runs, of the table that is being copied and of its source.
func TestCopiesOnTheirWayAreShown(t *testing.T) {
	copied := &client.Copy{Tables: 3, TablesDone: 1, Rows: 1500, RowsEstimated: 4000, Bytes: 1 << 20, Table: "my.shop.orders", RowsPerSecond: 250, SecondsLeft: 10}
	const says = "1500 of about 4000 rows, 250 rows/s, about 10s left"
	orders := changelog.TableAt{Table: &schema.Table{Source: "my", Schema: "shop", Name: "orders"}, State: changelog.TableState{State: changelog.TableCopying}}
	if got := tableNote(&orders, copied); got != says {
		t.Errorf("the table's note is %q", got)
	}
	other := changelog.TableAt{Table: &schema.Table{Source: "my", Schema: "shop", Name: "items"}, State: changelog.TableState{State: changelog.TableCopying, Detail: "asked for"}}
	if got := tableNote(&other, copied); got != "asked for" {
		t.Errorf("the note of a table whose turn has not come is %q", got)
	}
	odd := changelog.TableAt{Table: &schema.Table{Source: "my", Schema: "Shop", Name: "or.ders"}, State: orders.State}
	for name, want := range map[string]bool{`my."Shop"."or.ders"`: true, `my."Shop"."or.ders", waiting for space`: true, `my."Shop"."or.ders".x`: false} {
		if got := tableNote(&odd, &client.Copy{Table: name, SecondsLeft: -1}); (got != "") != want {
			t.Errorf("while %s is copied, the note of a table is %q", name, got)
		}
	}
	if got := tableNote(&orders, nil); got != "" {
		t.Errorf("without a running cdc the note is %q", got)
	}

	var b strings.Builder
	writeSource(&b, present.Style{}, &client.Source{Name: "my", Kind: "mysql", Phase: "streaming", Received: "x", HeldBytes: -1, LagBytes: -1, Copy: copied, Copying: []string{"shop.orders", "shop.items"}})
	for _, want := range []string{"copy      1 of 3 tables, " + says, "copying   shop.orders", "copying   shop.items", "source    at x"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
	rereads := []client.Reread{
		{Table: "shop.orders", Where: "id > 5", State: "under way"}, {Table: "shop.items", Where: "idd = 1", State: "ended", Detail: "no column idd"},
	}
	writeSource(&b, present.Style{}, &client.Source{Name: "my", Kind: "mysql", Phase: "streaming", HeldBytes: -1, LagBytes: -1, Rereads: rereads})
	for _, want := range []string{"reread    shop.orders WHERE id > 5: under way\n", "reread    shop.items WHERE idd = 1: ended: no column idd\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "WAL") {
		t.Errorf("a MySQL server is said to hold WAL:\n%s", b.String())
	}
	copied.RowsPerSecond, copied.SecondsLeft = 0, -1
	if got := copyText(copied); got != "1500 of about 4000 rows" {
		t.Errorf("a rate that is not known is shown as %q", got)
	}
}
