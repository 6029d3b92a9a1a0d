package binlog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// describe prints a statement on one line.
func (s *Statement) describe() string {
	b := &strings.Builder{}
	fmt.Fprint(b, s.Kind)
	name := func(n TableName) string { return fmt.Sprintf("%s.%s", n.Schema, n.Name) }
	for i, c := range s.Tables {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, " %s", name(c.Table))
		if c.To != (TableName{}) {
			fmt.Fprintf(b, " to %s", name(c.To))
		}
	}
	for _, c := range s.Columns {
		fmt.Fprintf(b, " column %s to %s", c.From, c.To)
	}
	for _, c := range s.Dropped {
		fmt.Fprintf(b, " drop %s", c)
	}
	for _, c := range s.Added {
		fmt.Fprintf(b, " add %s", c)
	}
	if s.Schema != "" {
		fmt.Fprintf(b, " schema %s", s.Schema)
	}
	if s.Savepoint != "" {
		fmt.Fprintf(b, " savepoint %s", s.Savepoint)
	}
	if s.XID.GTRID != nil {
		fmt.Fprintf(b, " xid %d %q %q", s.XID.Format, s.XID.GTRID, s.XID.BQUAL)
	}
	for _, flag := range []struct {
		set  bool
		text string
	}{{s.Replace, " replace"}, {s.Transactional, " transactional"}, {s.MovesRows, " moves rows"}, {s.Unsure, " UNSURE"}} {
		if flag.set {
			b.WriteString(flag.text)
		}
	}
	return b.String()
}

// A file of statements: each paragraph is one, what is told of it stands beneath. Options: maria, ansi, noescapes, noversion, raw
// (the paragraph with its line breaks is one statement; otherwise each line is).
func TestStatements(t *testing.T) {
	datadriven.Walk(t, "testdata/statements", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			format := &Format{Version: 90704}
			var mode SQLMode
			if d.HasArg("maria") {
				format = &Format{Version: 101119, MariaDB: true}
			}
			if d.HasArg("noversion") {
				format = nil
			}
			if d.HasArg("ansi") {
				mode |= ModeANSIQuotes
			}
			if d.HasArg("noescapes") {
				mode |= ModeNoBackslashEscapes
			}
			lines := []string{d.Input}
			if !d.HasArg("raw") {
				lines = strings.Split(d.Input, "\n")
			}
			out := &strings.Builder{}
			for _, line := range lines {
				s := ParseStatement(StatementText{Text: []byte(line), Schema: []byte("db"), Mode: mode, Format: format})
				fmt.Fprintln(out, s.describe())
			}
			return out.String()
		})
	})
}

// What servers wrote into the recordings is understood.
func TestStatementsOfServersAreUnderstood(t *testing.T) {
	var seen []StatementKind
	for name, raws := range recordings(t) {
		s := stream{}
		s.each = func(e Event, _ []byte) {
			if e.Type != TypeQuery && e.Type != TypeMariaQueryCompressed {
				return
			}
			q, err := ParseQuery(e, &s.z)
			if err != nil {
				t.Fatal(err)
			}
			st := ParseStatement(StatementText{Text: q.Text, Schema: q.Schema, Mode: q.Status.SQLMode, Format: &s.format})
			if st.Unsure {
				t.Errorf("%s: %.200s: %s", name, q.Text, st.describe())
			}
			seen = append(seen, st.Kind)
		}
		s.read(t, raws)
	}
	for k := StatementBegin; k <= StatementOther; k++ {
		// Servers end transactions by events, roll back before they write, and write CREATE TABLE without its SELECT.
		rare := []StatementKind{StatementRollback, StatementRollbackTo, StatementXAPrepare, StatementXARollback, StatementCreateSelect}
		if !slices.Contains(seen, k) && !slices.Contains(rare, k) {
			t.Errorf("no %s in the recordings", k)
		}
	}
}

func TestBareStatementsAllocateNothing(t *testing.T) {
	begin := StatementText{Text: []byte("BEGIN"), Format: &Format{}}
	if n := testing.AllocsPerRun(100, func() { ParseStatement(begin) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzStatement(f *testing.F) {
	for _, q := range slices.Concat(commonWorkload, mysqlWorkload, mariaWorkload) {
		f.Add([]byte(q))
	}
	for _, q := range []string{"/*!50000 DROP */ TABLE `a``b`.\"c\"", "SET STATEMENT x=(1) FOR DROP TABLE t", "ALTER TABLE t CHANGE `a` b INT, RENAME = c /* x", "XA COMMIT 0x6162,X'',7 ONE PHASE", "-- x\n# y\nBEGIN"} {
		f.Add([]byte(q))
	}
	formats := []*Format{nil, {Version: 90704}, {Version: 101119, MariaDB: true}}
	f.Fuzz(func(t *testing.T, text []byte) {
		for i, format := range formats {
			s := ParseStatement(StatementText{Text: text, Schema: []byte("db"), Mode: SQLMode(i) * (ModeANSIQuotes | ModeNoBackslashEscapes), Format: format})
			size := 0
			for _, c := range s.Tables {
				size += len(c.Table.Name) + len(c.To.Name)
			}
			for _, c := range s.Columns {
				size += len(c.From) + len(c.To)
			}
			for _, c := range slices.Concat(s.Dropped, s.Added) {
				size += len(c)
			}
			if size > len(text) {
				t.Fatalf("%q gives names of %d bytes", text, size)
			}
			// A comment before a statement changes nothing.
			if commented := append([]byte("/* x */ "), text...); format != nil && len(text) > 0 {
				if c := ParseStatement(StatementText{Text: commented, Schema: []byte("db"), Mode: SQLMode(i) * (ModeANSIQuotes | ModeNoBackslashEscapes), Format: format}); c.Kind != s.Kind {
					t.Fatalf("%q is %s, with a comment before it %s", text, s.Kind, c.Kind)
				}
			}
		}
	})
}
