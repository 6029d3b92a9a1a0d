package envelope

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks"
)

func TestNativeMessagesAreChangesAsTailPrintsThem(t *testing.T) {
	l := newTestLog(t)
	table := l.table(`odd "table"`,
		schema.Column{ID: 1, Name: "note", Kind: schema.Text, SQLType: "text"},
		schema.Column{ID: 2, Name: "id", Kind: schema.Int32, SQLType: "integer", Key: 1, NotNull: true},
		schema.Column{ID: 3, Name: "price", Kind: schema.Decimal, SQLType: "numeric"})
	keyless := l.table("notes", schema.Column{ID: 1, Name: "b", Kind: schema.Bytes, SQLType: "bytea"})
	l.change(changelog.OpCreate, table, nil, l.row(table, "a", "1", "1.50"))
	l.b.RowChange(changelog.OpDelete, table, changelog.ImageKey, l.pack(table, "", "1"), nil, nil)
	l.change(changelog.OpCreate, keyless, nil, l.row(keyless, `\x00ff`))
	l.b.Truncate(table, changelog.TruncateOptions{})
	l.message()
	const unit = `"commit_offset":105,"position":"at here","commit_time":"2023-11-14 22:13:20.123456+00","source":"rec","tx":9`
	want := []string{
		`rec.public.odd__table_ {"id":1} {"offset":100,` + unit + `,"table":"public.odd \"table\"","op":"c","key":{"id":1},"before":null,"after":{"note":"a","id":1,"price":1.50},"before_is":"none"}`,
		`rec.public.odd__table_ {"id":1} {"offset":101,` + unit + `,"table":"public.odd \"table\"","op":"d","key":{"id":1},"before":{"id":1},"after":null,"before_is":"key"}`,
		`rec.public.notes  {"offset":102,` + unit + `,"table":"public.notes","op":"c","key":{"b":"\\x00ff"},"before":null,"after":{"b":"\\x00ff"},"before_is":"none"}`,
		`rec.public.odd__table_  {"offset":103,` + unit + `,"table":"public.odd \"table\"","op":"t","key":null,"before":null,"after":null,"before_is":"none"}`,
		`rec.message  {"offset":104,` + unit + `,"table":null,"op":"m","key":null,"before":null,"after":{"prefix":"prefix","content":"\\x636f6e74656e74"},"before_is":"none"}`,
	}
	e, err := NewNative(Options{Format: Native, Source: testSource})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = e.Encode(t.Context(), l.unit(), func(m *sinks.Message) error {
		got = append(got, fmt.Sprintf("%s %s %s", m.Topic, m.Key, m.Value))
		if want := (sinks.Identity{Offset: changelog.Offset(99 + len(got)), Part: 1}); m.Identity != want {
			t.Errorf("message %d is %v, want %v", len(got), m.Identity, want)
		}
		return nil
	})
	if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %v\n%s\nwant\n%s", err, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestNativeMessagesDoNotAllocate(t *testing.T) {
	l := newTestLog(t)
	table := l.table("orders", everyKind()[:7]...)
	l.change(changelog.OpCreate, table, nil, l.row(table, "7", "t", "1.50", "12.5", "a note", `\x00ff`, "2024-02-29"))
	e, err := NewNative(Options{Source: testSource})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Encode(context.Background(), l.unit(), func(*sinks.Message) error { return nil }); err != nil {
		t.Fatal(err)
	}
	s := e.sources[1]
	if n := testing.AllocsPerRun(100, func() {
		if err := e.encode(s); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a message", n)
	}
}

func TestEncodersRefuseEachOthersFormats(t *testing.T) {
	if _, err := New(Options{Format: Native, Source: testSource}); err == nil {
		t.Error("an encoder of Debezium's form was made for the format native")
	}
	if _, err := NewNative(Options{}); err == nil {
		t.Error("options without sources are valid")
	}
}
