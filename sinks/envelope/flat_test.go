package envelope

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks"
)

// A row alone, with whether it is deleted and a version that grows; the old row of a delete is what the source sent of it.
func TestFlatMessagesAreRows(t *testing.T) {
	l := newTestLog(t)
	table := l.table("orders",
		schema.Column{ID: 1, Name: "id", Kind: schema.Int32, SQLType: "integer", Key: 1, NotNull: true},
		schema.Column{ID: 2, Name: "note", Kind: schema.Text, SQLType: "text"},
		schema.Column{ID: 3, Name: "qty", Kind: schema.Int32, SQLType: "integer", NotNull: true})
	full, moved := l.row(table, "1", "a", "5"), l.row(table, "2", "a", "5")
	l.change(changelog.OpRead, table, nil, full)
	l.change(changelog.OpUpdate, table, full, l.row(table, "1", "b", "5"))
	l.change(changelog.OpUpdate, table, full, moved)
	l.change(changelog.OpDelete, table, moved, nil)
	l.change(changelog.OpDelete, table, l.key(table, "3"), nil)
	l.b.Truncate(table, changelog.TruncateOptions{})
	want := []string{
		`{"id":1} {"id":1,"note":"a","qty":5,"__deleted":"false","__version":100} 100.1`,
		`{"id":1} {"id":1,"note":"b","qty":5,"__deleted":"false","__version":101} 101.1`,
		`{"id":1} {"id":1,"note":"a","qty":5,"__deleted":"true","__version":102} 102.1`,
		`{"id":2} {"id":2,"note":"a","qty":5,"__deleted":"false","__version":102} 102.3`,
		`{"id":2} {"id":2,"note":"a","qty":5,"__deleted":"true","__version":103} 103.1`,
		`{"id":3} {"id":3,"note":null,"qty":0,"__deleted":"true","__version":104} 104.1`,
	}
	var got []string
	for _, m := range l.encode(Options{Format: FlatJSON, Truncates: true}) {
		got = append(got, fmt.Sprintf("%s %s %d.%d", m.Key, m.Value, m.Identity.Offset, m.Identity.Part))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	schemas := l.encode(Options{Format: FlatJSON, Schemas: true})
	added := `{"type":"string","optional":true,"field":"__deleted"},{"type":"int64","optional":true,"field":"__version"}],"optional":false,"name":"rec.public.orders.Value"}`
	if !strings.Contains(string(schemas[0].Value), added) {
		t.Errorf("the schema of %s lacks %s", schemas[0].Value, added)
	}
}

// A table without a key has rows without one.
func TestFlatMessagesOfATableWithoutAKey(t *testing.T) {
	l := newTestLog(t)
	table := l.table("notes", schema.Column{ID: 1, Name: "note", Kind: schema.Text, SQLType: "text"})
	l.change(changelog.OpCreate, table, nil, l.row(table, "a"))
	messages := l.encode(Options{Format: FlatJSON})
	if m := messages[0]; m.Key != nil || string(m.Value) != `{"note":"a","__deleted":"false","__version":100}` {
		t.Errorf("got %s with the key %s", m.Value, m.Key)
	}
}

func TestFlatFieldsAreNotColumns(t *testing.T) {
	l := newTestLog(t)
	table := l.table("notes", schema.Column{ID: 1, Name: "__version", Kind: schema.Text, SQLType: "text"})
	l.change(changelog.OpCreate, table, nil, l.row(table, "a"))
	_, err := l.through(l.encoder(Options{Format: FlatJSON}))
	var stop *sinks.Stop
	if !errors.As(err, &stop) || stop.Kind != changelog.StopSchema || !strings.Contains(err.Error(), `"__version"`) {
		t.Errorf("got %v", err)
	}
}
