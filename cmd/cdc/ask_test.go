package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
	"cdc/materialize"
	"cdc/materialize/sql"
	"cdc/schema"
	"cdc/sources"
	"cdc/sources/postgres"
)

func TestOutputGoesToAFile(t *testing.T) {
	dir, path := newShopLog(t), filepath.Join(t.TempDir(), "products.parquet")
	v := runVerb(t, dir, verbInput{args: []string{"at", "now", "products", "--format", "parquet", "-o", path}, terminal: true})
	if v.code != exit.OK || v.out != "" {
		t.Fatalf("exit %d: %q %s", v.code, v.out, v.problems)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil || f.NumRows() != 3 {
		t.Fatalf("the file holds no 3 rows: %v", err)
	}
}

// A file that is not whole would be taken for one that is.
func TestNoFileIsLeftWhenRowsFail(t *testing.T) {
	dir, folder := newShopLog(t), t.TempDir()
	path := filepath.Join(folder, "products.csv")
	v := runVerb(t, dir, verbInput{args: []string{"at", "now", "products", "--columns", "colour", "-o", path}})
	if v.code != exit.Usage {
		t.Fatalf("exit %d: %s", v.code, v.problems)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Fatalf("left behind: %v (%v)", left, err)
	}
}

func TestConditionsAreCut(t *testing.T) {
	tests := []struct {
		text, column, value string
		op                  materialize.Compare
	}{
		{"id=7", "id", "7", materialize.Equal},
		{"id==7", "id", "=7", materialize.Equal},
		{"note=a=b", "note", "a=b", materialize.Equal},
		{"note=", "note", "", materialize.Equal},
		{`"a=b"=3`, `"a=b"`, "3", materialize.Equal},
		{`"a ""<"" b">=3`, `"a ""<"" b"`, "3", materialize.GreaterEqual},
		{`"=3`, `"`, "3", materialize.Equal},
		{`"a"b=3`, `"a"b`, "3", materialize.Equal},
		{"id!=7", "id", "7", materialize.NotEqual},
		{"id<7", "id", "7", materialize.Less},
		{"id<=7", "id", "7", materialize.LessEqual},
		{"id>7", "id", "7", materialize.Greater},
		{"id>=7", "id", "7", materialize.GreaterEqual},
		{`note=\N`, "note", `\N`, materialize.IsNull},
		{`note!=\N`, "note", `\N`, materialize.IsNotNull},
	}
	for _, test := range tests {
		column, op, value, err := cutCondition(test.text)
		if err != nil || column != test.column || op != test.op || value != test.value {
			t.Errorf("%s: %s %v %s %v", test.text, column, op, value, err)
		}
	}
	for _, text := range []string{"", "id", "=7", `id<\N`, "id!7"} {
		if _, _, _, err := cutCondition(text); err == nil {
			t.Errorf("%q was taken for a condition", text)
		}
	}
}

// The place of an LSN in a source decides what it includes: whole transactions that end at or before it.
func TestLSNIncludesTransactionsThatEndBeforeIt(t *testing.T) {
	p, err := sourcePositions{}.Parse(postgres.Kind, "0/100")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		end            postgres.LSN
		after, reached bool
	}{{0xff, false, false}, {0x100, false, true}, {0x101, true, true}} {
		unit := postgres.FormatPosition(postgres.Position{Timeline: 3, Commit: 0x50, End: test.end})
		if after := (sourcePositions{}).After(postgres.Kind, p, unit); after != test.after {
			t.Errorf("end %s: after = %t", test.end, after)
		}
		if reached := (sourcePositions{}).Reached(postgres.Kind, p, unit); reached != test.reached {
			t.Errorf("end %s: reached = %t", test.end, reached)
		}
	}
	if _, err := (sourcePositions{}).Parse("mysql", "0/100"); err == nil {
		t.Error("a MySQL source took an LSN")
	}
}

func TestStatementsAreCutAtTheirEnds(t *testing.T) {
	tests := []struct {
		text, statement, rest string
		whole                 bool
	}{
		{"select 1; select 2", "select 1", " select 2", true},
		{"select ';' ; x", "select ';' ", " x", true},
		{"select 'it''s; so';", "select 'it''s; so'", "", true},
		{`select ";" ;`, `select ";" `, "", true},
		{"select 1 -- ;\n;", "select 1 -- ;\n", "", true},
		{"select /* ; */ 1;", "select /* ; */ 1", "", true},
		{"select $$;$$;", "select $$;$$", "", true},
		{"select $a$;$$;$a$;", "select $a$;$$;$a$", "", true},
		{"select $1;", "select $1", "", true},
		{`select e'it\'s; so';`, `select e'it\'s; so'`, "", true},
		{"select /* /* ; */ ; */ 1;", "select /* /* ; */ ; */ 1", "", true},
		{"select a$b$;", "select a$b$", "", true},
		{"select 1", "select 1", "", false},
		{"select ';", "select ';", "", false},
		{"", "", "", false},
	}
	for _, test := range tests {
		statement, rest, whole := sql.CutStatement(test.text)
		if statement != test.statement || rest != test.rest || whole != test.whole {
			t.Errorf("%q: %q %q %t", test.text, statement, rest, whole)
		}
	}
	for text, blank := range map[string]bool{"": true, " \n": true, "-- x": true, "/* x */ -- y\n ": true, "select": false, "- x": false} {
		if sql.Blank(text) != blank {
			t.Errorf("Blank(%q) = %t", text, !blank)
		}
	}
}

func TestSQLReadsAScript(t *testing.T) {
	dir := newShopLog(t)
	if !sql.Built {
		v := runVerb(t, dir, verbInput{args: []string{"sql", "select 1"}})
		if v.code != exit.Build || !strings.Contains(v.problems, "without SQL") {
			t.Fatalf("a build without SQL: exit %d: %s", v.code, v.problems)
		}
		return
	}
	v := runVerb(t, dir, verbInput{args: []string{"sql", "--quiet"}, stdin: "set cdc.as_of = '2022-06-10';\n-- three rows\nselect count(*) as n from products;"})
	if v.code != exit.OK || v.out != "n\n3\n" {
		t.Fatalf("exit %d: %q %s", v.code, v.out, v.problems)
	}
	v = runVerb(t, dir, verbInput{args: []string{"sql", "--quiet"}, stdin: "select 1 as a; select nonsense; select 2 as b;"})
	if v.code != exit.Usage || v.out != "a\n1\n" {
		t.Fatalf("a script went on after an error: exit %d: %q %s", v.code, v.out, v.problems)
	}
	if v = runVerb(t, dir, verbInput{args: []string{"sql"}, stdin: "-- nothing"}); v.code != exit.Usage {
		t.Fatalf("exit %d", v.code)
	}
}

func TestVerbsSayThatThereIsNoLog(t *testing.T) {
	for _, line := range []string{"at now t", "diff --from now", "history t", "changes", "show 1", "tables", "tail", "sql 'select 1'", "verify"} {
		v := runVerb(t, filepath.Join(t.TempDir(), "none"), verbInput{args: splitWords(line)})
		if v.code != exit.Usage && v.code != exit.Build || v.code == exit.Usage && !strings.Contains(v.problems, "there is no log") {
			t.Errorf("%s: exit %d: %s", line, v.code, v.problems)
		}
	}
}

func TestDoctorPrintsFindings(t *testing.T) {
	findings := []sources.Finding{
		{Check: "server", Severity: sources.SeverityOK, Detail: "PostgreSQL 15"},
		{Check: "held WAL", Severity: sources.SeverityWarning, Detail: "it may fill the disk", Remedy: "run: ALTER SYSTEM …"},
		{Check: "publication", Severity: sources.SeverityProblem, Detail: "the role may not make one", Remedy: "run: GRANT …"},
	}
	var out bytes.Buffer
	d := &diagnosis{out: &present.Output{Out: &out, Format: present.Table}}
	for i := range findings {
		if err := d.print(finding{source: "shop", Finding: findings[i]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.print(finding{sink: "kafka", Finding: findings[0]}); err != nil {
		t.Fatal(err)
	}
	want := " ✓ server: PostgreSQL 15\n ⚠ held WAL: it may fill the disk\n     → run: ALTER SYSTEM …\n ✗ publication: the role may not make one\n     → run: GRANT …\n ✓ sink kafka, server: PostgreSQL 15\n"
	if out.String() != want {
		t.Fatalf("printed\n%s", out.String())
	}
	if err := d.verdict(); exit.Of(err).Code != exit.Unfit {
		t.Fatalf("verdict = %v", err)
	}
	healthy := &diagnosis{out: &present.Output{Out: &out, Err: &out, Format: present.Table}, warnings: 1}
	if err := healthy.verdict(); err != nil {
		t.Fatalf("a warning is no problem: %v", err)
	}
}

func TestVerifyPrintsVerdicts(t *testing.T) {
	table := present.Shape(present.Field{Name: "id", Kind: schema.Int64}, present.Field{Name: "v", Kind: schema.Text})
	table.Schema, table.Name = "public", "orders"
	row := func(cells string) schema.Row {
		r, err := table.Layout().Row(packCells(t, table, cells))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	var out bytes.Buffer
	v := &verifier{out: &present.Output{Out: &out, Format: present.Table}}
	equal := materialize.Comparison{Equal: 1, Left: materialize.Checksum{Count: 1, Lo: 7}, Right: materialize.Checksum{Count: 1, Lo: 7}}
	if err := v.forPeople(table, verdictEqual, equal, ""); err != nil {
		t.Fatal(err)
	}
	for _, r := range []materialize.DiffRow{
		{Kind: materialize.Added, Table: table, After: row("1|a")},
		{Kind: materialize.Removed, Table: table, Before: row("2|b")},
		{Kind: materialize.Modified, Table: table, Before: row("3|c"), After: row("3|d"), Columns: []int{1}},
	} {
		if err := v.row(&r); err != nil {
			t.Fatal(err)
		}
	}
	differs := materialize.Comparison{OnlyLeft: 1, OnlyRight: 1, Different: 1, Left: materialize.Checksum{Count: 2}, Right: materialize.Checksum{Count: 2}}
	if err := v.forPeople(table, verdictDifferent, differs, "inserts and truncates only"); err != nil {
		t.Fatal(err)
	}
	want := ` ✓ orders         equal: 1 row, checksum 00000000000000000000000000000007
 ✗ orders         DIFFERENT: 2 rows in the log, 2 at the source; 1 only in the log, 1 only at the source, 1 with other values
     checksum 00000000000000000000000000000000 in the log, 00000000000000000000000000000000 at the source  (inserts and truncates only)
     only at the source  id=1 v=a  
     only in the log  id=2 v=b  
     log → source  id=3 v=d  v c → d
`
	if out.String() != want {
		t.Fatalf("printed\n%s", out.String())
	}
}

func TestVerifyTakesTheTablesThatMatch(t *testing.T) {
	dir := newShopLog(t)
	app := &App{Data: dir}
	log, err := app.OpenLog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	at := log.Bounds().Next - 1
	for patterns, want := range map[string]string{
		"":                    "products orders legacy",
		"public.*":            "products orders",
		"public.* !*.orders":  "products",
		"!legacy":             "products orders",
		"shop.sales.?egacy":   "legacy",
		"other.public.orders": "",
	} {
		v := &verifier{cmd: &verifyCmd{Tables: strings.Fields(patterns)}, log: log}
		tables, err := v.tables("shop", at)
		if err != nil {
			t.Fatal(err)
		}
		if got := tableNames(tables); got != want {
			t.Errorf("%q: %s", patterns, got)
		}
	}
}

func tableNames(tables []changelog.TableAt) string {
	names := make([]string, len(tables))
	for i := range tables {
		names[i] = tables[i].Table.Name
	}
	return strings.Join(names, " ")
}

// A list that leaves out changes of a row must not say what the row held before.
func TestOldRowsAreNotGuessedInAFilteredList(t *testing.T) {
	dir := newShopLog(t)
	for args, known := range map[string]bool{"changes products id=3": true, "changes products item=Blouse": false} {
		v := runVerb(t, dir, verbInput{args: append(splitWords(args), "--json", "--quiet")})
		if got := strings.Contains(v.out, `"before_is":"from log"`); v.code != exit.OK || got != known {
			t.Errorf("%s: exit %d\n%s%s", args, v.code, v.out, v.problems)
		}
	}
}

// A history shows rows of every version of their table in the shape of the newest, whatever has become of the columns.
func TestRowsOfOlderVersionsTakeTheNewestShape(t *testing.T) {
	older := &schema.Table{Columns: []schema.Column{
		{ID: 1, Name: "id", Kind: schema.Int64, Key: 1}, {ID: 2, Name: "size", Kind: schema.Text}, {ID: 3, Name: "gone", Kind: schema.Text},
	}}
	newer := &schema.Table{Version: 1, Columns: []schema.Column{
		{ID: 1, Name: "id", Kind: schema.Int64, Key: 1},
		{ID: 2, Name: "size", Kind: schema.Int32},
		{ID: 4, Name: "state", Kind: schema.Text, HasMissing: true, Missing: []byte("new")},
	}}
	for _, table := range []*schema.Table{older, newer} {
		if err := table.Prepare(); err != nil {
			t.Fatal(err)
		}
	}
	for cells, want := range map[string]string{`7|42|x`: "id=7 size=42 state=new", `7|large|x`: "id=7 size=∅ state=new", `7|\N|x`: "id=7 size=∅ state=new"} {
		was, err := older.Layout().Row(packCells(t, older, cells))
		if err != nil {
			t.Fatal(err)
		}
		row := reshaped(earlierRow{table: older, row: was}, newer)
		if row.IsZero() {
			t.Fatalf("%s: no row", cells)
		}
		if got := (describer{}).columns(newer, row, nil); got != want {
			t.Errorf("%s: %s", cells, got)
		}
	}
}
