package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/schema"
	"cdc/sources/postgres"
)

// What 'cdc tables' prints can be given back to the verbs that decide about a table, and so can the plain name where it is unique.
func TestTablesAreNamedAsTheyArePrinted(t *testing.T) {
	log, err := disklog.Open(t.TempDir(), disklog.Options{SegmentBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	s := &shopLog{t: t, log: log, lsn: 0x16B3500}
	s.unit.Reset(changelog.UnitControl)
	s.unit.Meta.Source, s.unit.Meta.Epoch = shopSource, 1
	s.unit.AddSource(changelog.SourceInfo{ID: shopSource, Epoch: 1, Name: "shop", Kind: postgres.Kind})
	s.append()
	var all []*schema.Table
	for i, name := range [][2]string{{"public", "a b"}, {"a", "b.c"}, {"a.b", "c"}, {"public", "Order"}, {"public", "order"}, {"public", `say "hi"`}} {
		all = append(all, s.register(&schema.Table{
			Source: "shop", Schema: name[0], Name: name[1], SourceTable: uint32(i + 1), Identity: schema.IdentityKey,
			Columns: []schema.Column{{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", NotNull: true, Key: 1}},
		}))
	}
	s.commit(changelog.UnitTx, "2022-06-01T00:00:00Z")
	for _, want := range all {
		name := want.FullName()
		if got, err := tableNamed(log, "", name); err != nil || got.ID != want.ID {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, want := range map[string]int{"public.a b": 0, "a b": 0, `"a b"`: 0, "Order": 3, "order": 4, "public.order": 4, `say "hi"`: 5} {
		if got, err := tableNamed(log, "shop", name); err != nil || got.ID != all[want].ID {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	_, err = tableNamed(log, "shop", "a.b.c")
	if want := `a.b.c could mean shop.a."b.c" or shop."a.b".c; name it as one of them`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestSnapshotSaysOddNamesInJSON(t *testing.T) {
	var out bytes.Buffer
	table := &schema.Table{Source: "shop", Schema: "public", Name: "bell\a \"x\""}
	c, a := &snapshotCmd{}, &App{Stdout: &out}
	a.JSON = true
	if err := c.say(a, table, c.request(table), true); err != nil {
		t.Fatal(err)
	}
	var said struct{ Table string }
	if err := json.Unmarshal(out.Bytes(), &said); err != nil || said.Table != "public.bell\a \"x\"" {
		t.Errorf("%s: %v", out.String(), err)
	}
}
