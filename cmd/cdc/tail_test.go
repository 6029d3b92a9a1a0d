package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
	"cdc/schema"
	"cdc/sources"
	"cdc/sources/postgres"
)

func TestTailPrintsLinesForPeople(t *testing.T) {
	dir := newShopLog(t)
	v := runVerb(t, dir, verbInput{args: []string{"tail", "orders", "--since", "2022-06-18", "-n", "3", "--quiet"}, terminal: true})
	want := `09:23:23.104 0/16B3900   c orders         id=1042      status=paid                                    tx 772
09:23:23.104 0/16B3900   c orders         id=1043      status=paid                                    tx 772
10:00:00.000 0/16B3A00   u orders         id=1042      status paid → shipped  note ∅ → 'left… tx 773
`
	if v.code != exit.OK || v.out != want {
		t.Fatalf("exit %d\n%s%s", v.code, v.out, v.problems)
	}
}

func TestTailPrintsJSONLinesForPrograms(t *testing.T) {
	dir := newShopLog(t)
	v := runVerb(t, dir, verbInput{args: []string{"tail", "--since", "2022-06-18", "-n", "6", "--quiet"}})
	lines := strings.Split(strings.TrimSpace(v.out), "\n")
	if len(lines) != 6 {
		t.Fatalf("%d lines:\n%s%s", len(lines), v.out, v.problems)
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

func TestTailGivesAFormatThatWasAskedFor(t *testing.T) {
	v := runVerb(t, newShopLog(t), verbInput{args: []string{"tail", "--since", "2022-06-18", "-n", "1", "--quiet", "--format", "csv"}})
	if !strings.HasPrefix(v.out, "offset,commit_offset,") {
		t.Fatalf("output:\n%s%s", v.out, v.problems)
	}
}

// A tail shows what is appended while it runs.
func TestTailFollows(t *testing.T) {
	dir := newShopLog(t)
	log, err := disklog.Open(dir, disklog.Options{SegmentBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	done := make(chan verbOutput)
	go func() {
		done <- runVerb(t, dir, verbInput{args: []string{"tail", "products", "--since", "now", "-n", "1", "--json", "--quiet"}})
	}()
	products, ok := log.Catalog().TableAt(1, log.Bounds().Next-1)
	if !ok {
		t.Fatal("the log has no table 1")
	}
	s := &shopLog{t: t, log: log, xid: 800, lsn: 0x2000000}
	for {
		// Whether it has begun to read is not to be seen from here: it is shown another change until it has seen one.
		s.unit.Reset(changelog.UnitTx)
		s.change(changelog.OpCreate, products.Table, "", "9|Hat|1|9.99")
		s.commit(changelog.UnitTx, "2022-06-22T00:00:00Z")
		select {
		case v := <-done:
			if v.code != exit.OK || !strings.Contains(v.out, `"item":"Hat"`) {
				t.Fatalf("exit %d\n%s%s", v.code, v.out, v.problems)
			}
			return
		default:
		}
	}
}

func TestTailRefusesWhatDoesNotGoTogether(t *testing.T) {
	dir := newShopLog(t)
	for _, args := range [][]string{
		{"tail", "orders", "--tables", "public.*"},
		{"tail", "postgres://cdc@127.0.0.1:1/shop", "--since", "now"},
		{"tail", "mysql://cdc@127.0.0.1:1/shop", "--publication", "p"},
		{"doctor", "mysql://cdc@127.0.0.1:1/shop", "--publication", "p"},
		{"tail", "mysql://cdc@127.0.0.1:1"},
	} {
		v := runVerb(t, dir, verbInput{args: args})
		if v.code != exit.Usage {
			t.Errorf("%q: exit %d: %s", args, v.code, v.problems)
		}
	}
}

// The server tells the number of a transaction with its commit: changes wait for it, but not without limit.
func TestTailOfADatabaseHoldsATransactionUntilItsCommit(t *testing.T) {
	table := present.Shape(present.Field{Name: "id", Kind: schema.Int64})
	table.Name = "t"
	var out bytes.Buffer
	tail, err := newTailer(&present.Output{Out: &out, Format: present.Table}, 0)
	if tail != nil {
		tail.placed(func(u *changelog.UnitMeta) string { return positionText(postgres.Kind, u.Position) })
	}
	if err != nil {
		t.Fatal(err)
	}
	d := &directTail{t: tail}
	change := func(id string) {
		row, err := table.Layout().Row(packCells(t, table, id))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Change(&changelog.Change{Op: changelog.OpCreate, Table: table, After: row}); err != nil {
			t.Fatal(err)
		}
	}
	commit := sources.Commit{XID: 77, Position: postgres.FormatPosition(postgres.Position{End: 0x100})}
	change("1")
	change("2")
	if out.Len() != 0 {
		t.Fatalf("shown before the commit: %s", out.String())
	}
	if err := d.Commit(commit); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "tx 77"); got != 2 {
		t.Fatalf("%d changes of transaction 77:\n%s", got, out.String())
	}
	for range maxDirectChanges + 5 {
		change("3")
	}
	if len(d.held) > maxDirectChanges {
		t.Fatalf("%d changes are held", len(d.held))
	}
	if err := d.Commit(commit); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "\n"); got != maxDirectChanges+7 {
		t.Fatalf("%d lines", got)
	}
}
