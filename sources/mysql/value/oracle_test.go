package value

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"cdc/schema"
)

// edge is a type with the values, as SQL writes them, at the edges of what it holds. Every type also gets a null.
type edge struct {
	only   string // the server that has the type; both when empty
	typ    string
	values []string
}

// TestCopiedAndStreamedRowsAreTheSame puts the edge values of each type into real servers and decodes them twice, from the binlog and
// from a SELECT: the packed rows must be equal byte for byte, their text must be what the server prints, and TABLE_MAP and
// information_schema must describe the same column.
func TestCopiedAndStreamedRowsAreTheSame(t *testing.T) {
	eachServer(t, func(t *testing.T, s *server) {
		c, database := s.database(t)
		from := s.position(c)
		var used []edge
		for _, e := range edges {
			if e.only == "" || e.only == s.flavor {
				used = append(used, e)
			}
		}
		for i, e := range used {
			fill(c, fmt.Sprintf("t%d", i), e)
		}
		streamed := map[string]*capture{}
		s.binlog(t, from, database, func(e rowsEvent) {
			if streamed[e.table] == nil {
				streamed[e.table] = &capture{columns: e.columns}
			}
			streamed[e.table].events = append(streamed[e.table].events, e)
		})
		cases := 0
		ss := s.sessions(t, database)
		for i, e := range used {
			name := fmt.Sprintf("t%d", i)
			got := streamed[name]
			if got == nil {
				t.Errorf("%s: nothing in the binlog", e.typ)
				continue
			}
			t.Run(fmt.Sprintf("%d %.40s", i, e.typ), func(t *testing.T) {
				informed := s.informed(c, database, name)
				checkDescriptions(t, got.columns, informed)
				cases += 2 * checkRows(t, ss, got, informed, name)
			})
		}
		t.Logf("%s: %d types, %d (type, value, path) cases", s.flavor, len(used), cases)
	})
}

// fill makes a table with the type's values and a null.
func fill(c *conn, name string, e edge) {
	c.exec(fmt.Sprintf("CREATE TABLE %s (id INT PRIMARY KEY, `v``ä` %s)", name, e.typ))
	var rows []string
	for i, v := range e.values {
		rows = append(rows, fmt.Sprintf("(%d, %s)", i, v))
	}
	if !strings.Contains(e.typ, "NOT NULL") {
		rows = append(rows, fmt.Sprintf("(%d, NULL)", len(rows)))
	}
	if !strings.HasSuffix(e.typ, "COMPRESSED") {
		c.exec("INSERT INTO " + name + " VALUES " + strings.Join(rows, ", "))
		return
	}
	for i, row := range rows { // in both of zlib's forms
		c.exec(fmt.Sprintf("SET column_compression_zlib_wrap = %d", i%2))
		c.exec("INSERT INTO " + name + " VALUES " + row)
	}
}

// sessions are the connections that a table is read with: one as a copy reads it, and one that prints.
type sessions struct{ copied, printed *conn }

func (s *server) sessions(t *testing.T, database string) sessions {
	t.Helper()
	ss := sessions{copied: s.connect(t, database), printed: s.connect(t, database)}
	ss.copied.exec(TextSession)
	ss.printed.exec("SET NAMES utf8mb4")
	ss.printed.exec("SET time_zone = '+00:00'")
	return ss
}

// capture is what the binlog gave of a table.
type capture struct {
	columns []Column
	events  []rowsEvent
}

// rows decodes the rows of the table's inserts, with what information_schema alone tells of its columns.
func (c *capture) rows(t *testing.T, columns []Column) (rows [][]byte) {
	t.Helper()
	st := table(t, columns)
	decoder, err := Compile(columns, st)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range c.events {
		for rest := e.images; len(rest) > 0; {
			var row []byte
			if row, rest, err = decoder.Image(nil, e.before, rest); err != nil {
				t.Fatalf("row %d: %v", len(rows), err)
			}
			if _, err := st.Layout().Row(row); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// checkDescriptions compares what the two ways tell of the columns; Native is for one of them to tell.
func checkDescriptions(t *testing.T, mapped, informed []Column) {
	t.Helper()
	for i := range mapped {
		want := informed[i]
		want.Native = ""
		if !reflect.DeepEqual(mapped[i], want) {
			t.Errorf("TABLE_MAP says        %+v\ninformation_schema says %+v", mapped[i], want)
		}
		if a, b := mapped[i].SQLType(), want.SQLType(); a != b {
			t.Errorf("type is %s by TABLE_MAP and %s by information_schema", a, b)
		}
	}
}

// checkRows compares the rows of the binlog with those of a SELECT, and their text with the server's.
func checkRows(t *testing.T, ss sessions, streamed *capture, informed []Column, name string) int {
	t.Helper()
	exprs := make([]string, len(informed))
	for i := range informed {
		exprs[i] = informed[i].SelectExpr()
	}
	st := table(t, informed)
	decoder, err := CompileText(informed, st)
	if err != nil {
		t.Fatal(err)
	}
	texts := ss.printed.rows("SELECT * FROM " + name + " ORDER BY id")
	rows := ss.copied.rows("SELECT " + strings.Join(exprs, ", ") + " FROM " + name + " ORDER BY id")
	images := streamed.rows(t, informed)
	if len(images) != len(rows) {
		t.Fatalf("%d rows in the binlog, %d in the table", len(images), len(rows))
	}
	for i, fields := range rows {
		row, err := decoder.Row(nil, fields)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(row, images[i]) {
			t.Errorf("row %d\nstreamed %x\ncopied   %x (%q)", i, images[i], row, fields[1])
		}
		r, err := st.Layout().Row(row)
		if err != nil {
			t.Fatal(err)
		}
		checkText(t, &st.Columns[1], r, texts[i][1])
	}
	return len(rows)
}

// checkText compares a value's text with the server's, where the server's is text and we have not chosen another.
func checkText(t *testing.T, c *schema.Column, r schema.Row, server []byte) {
	t.Helper()
	if (r.State(1) == schema.Null) != (server == nil) {
		t.Errorf("null is %v and %q", r.State(1), server)
	}
	if server == nil {
		return
	}
	text, want := string(schema.AppendText(nil, c, r, 1)), string(server)
	switch c.Kind {
	case schema.Bytes, schema.Geometry:
		text, want = hex.EncodeToString(r.Bytes(1)), hex.EncodeToString(server)
	case schema.Enum, schema.Set:
		text = strings.TrimPrefix(text, zeroBesideEmpty)
	case schema.Bit, schema.Float32, schema.Float64:
		return // printed otherwise
	case schema.CalendarTimestamp, schema.CalendarTimestampTZ, schema.Time:
		text = strings.TrimSuffix(text, "+00")
		if strings.Contains(want, ".") {
			want = strings.TrimRight(strings.TrimRight(want, "0"), ".")
		}
	}
	if strings.HasSuffix(c.SQLType, "int unsigned") || strings.HasPrefix(c.SQLType, "decimal") || c.Kind == schema.Int16 {
		want = strings.TrimLeft(want, "0") // ZEROFILL, and the year 0000
		if text == "0" || strings.HasPrefix(text, "0.") {
			text = text[1:]
		}
	}
	if text != want {
		t.Errorf("%s prints %q, the server %q", c.SQLType, text, want)
	}
}
