package parquet_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	pq "github.com/parquet-go/parquet-go"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/schema"
	"cdc/sinks"
	"cdc/sinks/folder"
	"cdc/sinks/parquet"
)

// fixture is a log with one source, and a folder that it is published to.
type fixture struct {
	*testing.T
	log     changelog.Log
	builder changelog.UnitBuilder
	dir     string
	last    changelog.Offset
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	log, err := disklog.Open(t.TempDir(), disklog.Options{})
	f := &fixture{T: t, log: log, dir: t.TempDir()}
	f.must(err)
	t.Cleanup(func() { _ = log.Close() })
	f.begin(changelog.UnitControl)
	f.builder.AddSource(changelog.SourceInfo{ID: 1, Epoch: 1, Name: "shop", Kind: "postgres"})
	f.append()
	return f
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) begin(kind changelog.UnitKind) {
	f.builder.Reset(kind)
	f.builder.Meta.Source, f.builder.Meta.Epoch = 1, 1
	f.builder.Meta.CommitTime = 1_700_000_000_000_000
}

func (f *fixture) append() {
	f.Helper()
	var err error
	f.last, err = f.log.Append(f.Context(), &f.builder)
	f.must(err)
}

// table registers a table and adds it to the unit that is being built.
func (f *fixture) table(name string, columns ...schema.Column) *schema.Table {
	f.Helper()
	for i := range columns {
		columns[i].ID = uint32(i + 1)
	}
	t := &schema.Table{Source: "shop", Schema: "public", Name: name, SourceTable: 7, Identity: schema.IdentityKey, Columns: columns}
	f.must(t.Prepare())
	t = f.log.Catalog().Register(1, t)
	f.builder.AddTable(t)
	return t
}

// null and absent stand for a column without a value.
const (
	null   = "NULL"
	absent = "ABSENT"
)

// row packs texts as the columns' source prints them.
func (f *fixture) row(t *schema.Table, texts ...string) []byte {
	f.Helper()
	var b schema.Builder
	b.Reset(t.Layout(), nil)
	for i, text := range texts {
		switch {
		case text == null:
			b.Null(i)
		case text == absent:
		case !utf8.ValidString(text):
			b.String(i, text)
		default:
			f.must(schema.ParseText(&b, i, &t.Columns[i], []byte(text)))
		}
	}
	packed, err := b.Finish()
	f.must(err)
	return packed
}

// publish publishes the log and returns what the files say.
func (f *fixture) publish() string {
	f.Helper()
	f.must(f.log.WaitDurable(f.Context(), f.last))
	s, err := parquet.New(parquet.Options{Folder: folder.Options{Dir: f.dir}, Source: func(changelog.SourceID) string { return "shop" }})
	f.must(err)
	after, err := s.Open(f.Context(), sinks.Checkpoint{})
	f.must(err)
	cursor, err := f.log.Cursor(changelog.CursorOptions{From: after + 1})
	f.must(err)
	for {
		u, err := cursor.Next(f.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		f.must(err)
		f.must(s.Write(f.Context(), u))
	}
	f.must(s.Flush(f.Context()))
	f.must(errors.Join(cursor.Close(), s.Close()))
	return f.dump()
}

// dump is the files as text: of each row the columns that are not null.
func (f *fixture) dump() string {
	f.Helper()
	names, err := filepath.Glob(filepath.Join(f.dir, "*", "*.parquet"))
	f.must(err)
	var text strings.Builder
	for _, name := range names {
		in, err := os.Open(name)
		f.must(err)
		info, err := in.Stat()
		f.must(err)
		file, err := pq.OpenFile(in, info.Size())
		f.must(err)
		_, short, _ := strings.Cut(name, f.dir+"/")
		version, _ := file.Lookup("cdc.table_version")
		fmt.Fprintf(&text, "%s version %s\n", short, version)
		columns := file.Schema().Columns()
		for _, group := range file.RowGroups() {
			rows := group.Rows()
			for buffer := make([]pq.Row, 1); ; {
				n, err := rows.ReadRows(buffer)
				if n == 1 {
					for _, v := range buffer[0] {
						if !v.IsNull() {
							fmt.Fprintf(&text, " %s=%s", strings.Join(columns[v.Column()], "."), show(v))
						}
					}
					text.WriteByte('\n')
				}
				if err != nil || n == 0 {
					break
				}
			}
			f.must(rows.Close())
		}
		f.must(in.Close())
	}
	return text.String()
}

func show(v pq.Value) string {
	if v.Kind() == pq.FixedLenByteArray {
		return fmt.Sprintf("%x", v.ByteArray())
	}
	return v.String()
}

// same compares texts line by line.
func (f *fixture) same(got, want string) {
	f.Helper()
	a, b := strings.Split(strings.TrimSpace(got), "\n"), strings.Split(strings.TrimSpace(want), "\n")
	for i := range a {
		a[i] = strings.TrimSpace(a[i])
	}
	for i := range b {
		b[i] = strings.TrimSpace(b[i])
	}
	if !slices.Equal(a, b) {
		f.Fatalf("got\n%s\nwant\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
}

func TestChangesOfATable(t *testing.T) {
	f := newFixture(t)
	f.begin(changelog.UnitTx)
	orders := f.table("orders",
		schema.Column{Name: "id", Kind: schema.Int64, SQLType: "bigint", NotNull: true, Key: 1},
		schema.Column{Name: "note", Kind: schema.Text, SQLType: "text"},
		schema.Column{Name: "__op", Kind: schema.Text, SQLType: "text"})
	b := &f.builder
	b.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, f.row(orders, "1", "new", null), nil)
	b.RowChange(changelog.OpUpdate, orders, changelog.ImageNone, nil, f.row(orders, "1", "paid", "x"), nil)
	b.RowChange(changelog.OpUpdate, orders, changelog.ImageKey, f.row(orders, "1", absent, absent), f.row(orders, "2", absent, null), nil)
	b.RowChange(changelog.OpUpdate, orders, changelog.ImageFull, f.row(orders, "2", "a", null), f.row(orders, "2", null, "z"), nil)
	b.RowChange(changelog.OpDelete, orders, changelog.ImageKey, f.row(orders, "2", absent, absent), nil, nil)
	b.Truncate(orders, changelog.TruncateOptions{})
	b.Message([]byte("hello"), []byte{'w', 0xff})
	f.append()
	f.same(f.publish(), `
		shop.cdc.message/00000000000000000009-00000000000000000009.parquet version 0
		__op=m __offset=9 __commit=10 __source=shop __commit_time=1700000000000000 prefix=hello content=w`+"\xff"+`
		shop.public.orders/00000000000000000003-00000000000000000008.parquet version 1
		__op=c __offset=3 __commit=10 __source=shop __commit_time=1700000000000000 id=1 note=new
		__op=u __offset=4 __commit=10 __source=shop __commit_time=1700000000000000 id=1 note=paid __op_1=x
		__op=u __offset=5 __commit=10 __source=shop __commit_time=1700000000000000 __image=key id=2 __before.id=1 __absent=["note"]
		__op=u __offset=6 __commit=10 __source=shop __commit_time=1700000000000000 __image=full id=2 __op_1=z __before.id=2 __before.note=a
		__op=d __offset=7 __commit=10 __source=shop __commit_time=1700000000000000 __image=key id=2 __before.id=2
		__op=t __offset=8 __commit=10 __source=shop __commit_time=1700000000000000`)
}

func TestSchemaChangeBeginsAFile(t *testing.T) {
	f := newFixture(t)
	id := schema.Column{Name: "id", Kind: schema.Int64, SQLType: "bigint", NotNull: true, Key: 1}
	f.begin(changelog.UnitTx)
	narrow := f.table("orders", id)
	f.builder.RowChange(changelog.OpCreate, narrow, changelog.ImageNone, nil, f.row(narrow, "1"), nil)
	f.append()
	f.begin(changelog.UnitTx)
	wide := f.table("orders", id, schema.Column{Name: "total", Kind: schema.Decimal, Precision: 12, Scale: 2, SQLType: "numeric(12,2)"})
	f.builder.RowChange(changelog.OpCreate, narrow, changelog.ImageNone, nil, f.row(narrow, "2"), nil)
	f.builder.RowChange(changelog.OpCreate, wide, changelog.ImageNone, nil, f.row(wide, "3", "4.50"), nil)
	f.append()
	f.same(f.publish(), `
		shop.public.orders/00000000000000000003-00000000000000000006.parquet version 1
		__op=c __offset=3 __commit=4 __source=shop __commit_time=1700000000000000 id=1
		__op=c __offset=6 __commit=8 __source=shop __commit_time=1700000000000000 id=2
		shop.public.orders/00000000000000000007-00000000000000000007.parquet version 2
		__op=c __offset=7 __commit=8 __source=shop __commit_time=1700000000000000 id=3 total=450`)
}

// Each kind has its column, and what a column cannot hold is told beside it.
func TestKinds(t *testing.T) {
	tests := []struct {
		column     schema.Column
		logical    string
		text, want string // want is empty when the value does not fit
	}{
		{schema.Column{Kind: schema.Bool}, "BOOLEAN", "true", "true"},
		{schema.Column{Kind: schema.Int8}, "INT(8,true)", "-128", "-128"},
		{schema.Column{Kind: schema.Uint64}, "INT(64,false)", "18446744073709551615", "-1"},
		{schema.Column{Kind: schema.Float64}, "DOUBLE", "NaN", "NaN"},
		{schema.Column{Kind: schema.Decimal, Precision: 5, Scale: 2}, "DECIMAL(5,2)", "-123.45", "-12345"},
		{schema.Column{Kind: schema.Decimal, Precision: 5, Scale: 2}, "DECIMAL(5,2)", "NaN", ""},
		{schema.Column{Kind: schema.Decimal, Precision: 18, Scale: 0}, "DECIMAL(18,0)", "999999999999999999", "999999999999999999"},
		{schema.Column{Kind: schema.Decimal, Precision: 38, Scale: 1}, "DECIMAL(38,1)", "-0.1", "ffffffffffffffffffffffffffffffff"},
		{schema.Column{Kind: schema.Decimal, Precision: 39, Scale: 1}, "STRING", "-0.1", "-0.1"},
		{schema.Column{Kind: schema.Decimal}, "STRING", "Infinity", "Infinity"},
		{schema.Column{Kind: schema.Text}, "STRING", "größer", "größer"},
		{schema.Column{Kind: schema.Text}, "STRING", "a\xff", ""},
		{schema.Column{Kind: schema.Date}, "DATE", "1970-01-02", "1"},
		{schema.Column{Kind: schema.Date}, "DATE", "infinity", ""},
		{schema.Column{Kind: schema.Time}, "TIME(isAdjustedToUTC=false,unit=MICROS)", "00:00:01", "1000000"},
		{schema.Column{Kind: schema.Time}, "TIME(isAdjustedToUTC=false,unit=MICROS)", "24:00:00", ""},
		{schema.Column{Kind: schema.Timestamp}, "TIMESTAMP(isAdjustedToUTC=false,unit=MICROS)", "1970-01-01 00:00:01", "1000000"},
		{schema.Column{Kind: schema.TimestampTZ}, "TIMESTAMP(isAdjustedToUTC=true,unit=MICROS)", "-infinity", ""},
		{schema.Column{Kind: schema.Interval}, "STRING", "1 day", "1 day"},
		{schema.Column{Kind: schema.UUID}, "UUID", "00000000-0000-0000-0000-0000000000ff", "000000000000000000000000000000ff"},
		{schema.Column{Kind: schema.JSON}, "JSON", `{"a" : 1}`, `{"a" : 1}`},
		{schema.Column{Kind: schema.Enum}, "STRING", "large", "large"},
		{schema.Column{Kind: schema.Bit, Precision: 3}, "STRING", "101", "101"},
		{schema.Column{Kind: schema.CalendarDate}, "DATE", "1970-01-02", "1"},
		{schema.Column{Kind: schema.CalendarDate}, "DATE", "0000-00-00", ""},
		{schema.Column{Kind: schema.CalendarTimestamp}, "TIMESTAMP(isAdjustedToUTC=false,unit=MICROS)", "2024-00-00 00:00:00", ""},
		{schema.Column{Kind: schema.Raw}, "STRING", "(1,2)", "(1,2)"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s %s", test.column.Kind, test.text), func(t *testing.T) {
			f := newFixture(t)
			f.begin(changelog.UnitTx)
			test.column.Name = "v"
			table := f.table("kinds", test.column)
			packed := f.row(table, test.text)
			f.builder.RowChange(changelog.OpUpdate, table, changelog.ImageFull, packed, packed, nil)
			f.append()
			want := fmt.Sprintf(" v=%s __before.v=%s\n", test.want, test.want)
			if test.want == "" {
				shown := strings.ReplaceAll(test.text, "a\xff", `\\x61ff`)
				want = fmt.Sprintf(" __unfit={\"v\":%q,\"__before.v\":%q}\n", shown, shown)
				want = strings.ReplaceAll(want, `\\\\x`, `\\x`)
			}
			if got := f.publish(); !strings.HasSuffix(got, want) {
				t.Fatalf("got %s, want it to end with %s", got, want)
			}
			if got := f.logical("kinds", "v"); got != test.logical {
				t.Fatalf("type %s, want %s", got, test.logical)
			}
		})
	}
}

// logical is the type of a column.
func (f *fixture) logical(table, column string) string {
	f.Helper()
	names, err := filepath.Glob(filepath.Join(f.dir, "shop.public."+table, "*"))
	f.must(err)
	in, err := os.Open(names[0])
	f.must(err)
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	f.must(err)
	file, err := pq.OpenFile(in, info.Size())
	f.must(err)
	return file.Root().Column(column).Type().String()
}
