package envelope

import (
	"bytes"
	"testing"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks"
)

// testLog makes units of one transaction.
type testLog struct {
	testing.TB
	catalog *changelog.Catalog
	b       changelog.UnitBuilder
}

func newTestLog(t testing.TB) *testLog {
	l := &testLog{TB: t, catalog: changelog.NewCatalog()}
	l.b.Reset(changelog.UnitTx)
	l.b.Meta.Source, l.b.Meta.Epoch, l.b.Meta.First, l.b.Meta.XID = 1, 1, 100, 9
	l.b.Meta.CommitTime, l.b.Meta.Clock, l.b.Meta.Position = 1_700_000_000_123_456, 1_700_000_000_123_457, "here"
	return l
}

func (l *testLog) table(name string, columns ...schema.Column) *schema.Table {
	l.Helper()
	t := &schema.Table{Source: "rec", Schema: "public", Name: name, SourceTable: 7, Identity: schema.IdentityKey, Columns: columns}
	if err := t.Prepare(); err != nil {
		l.Fatal(err)
	}
	return l.catalog.Register(1, t)
}

// row packs the values that texts spell; columns without one are null.
func (l *testLog) row(t *schema.Table, texts ...string) []byte {
	l.Helper()
	var b schema.Builder
	b.Reset(t.Layout(), nil)
	for i := range t.Columns {
		switch {
		case i < len(texts):
			if err := schema.ParseText(&b, i, &t.Columns[i], []byte(texts[i])); err != nil {
				l.Fatal(err)
			}
		case t.Columns[i].NotNull:
			if err := schema.ParseText(&b, i, &t.Columns[i], []byte("0")); err != nil {
				l.Fatal(err)
			}
		default:
			b.Null(i)
		}
	}
	row, err := b.Finish()
	if err != nil {
		l.Fatal(err)
	}
	return row
}

// key packs the first column alone.
func (l *testLog) key(t *schema.Table, text string) []byte { return l.pack(t, text) }

// pack packs the values that texts spell; those of an empty text, and columns without one, are absent.
func (l *testLog) pack(t *schema.Table, texts ...string) []byte {
	l.Helper()
	var b schema.Builder
	b.Reset(t.Layout(), nil)
	for i, text := range texts {
		if text == "" {
			continue
		}
		if err := schema.ParseText(&b, i, &t.Columns[i], []byte(text)); err != nil {
			l.Fatal(err)
		}
	}
	row, err := b.Finish()
	if err != nil {
		l.Fatal(err)
	}
	return row
}

func (l *testLog) change(op changelog.Op, t *schema.Table, before, after []byte) {
	image := changelog.ImageNone
	if before != nil {
		image = changelog.ImageFull
	}
	l.b.RowChange(op, t, image, before, after, nil)
}

func (l *testLog) message() { l.b.Message([]byte("prefix"), []byte("content")) }

func (l *testLog) unitBytes() []byte {
	l.Helper()
	raw, err := l.b.AppendUnit(nil)
	if err != nil {
		l.Fatal(err)
	}
	return raw
}

func (l *testLog) unit() *changelog.Unit {
	l.Helper()
	u := new(changelog.Unit)
	if _, err := changelog.DecodeUnit(l.unitBytes(), u); err != nil {
		l.Fatal(err)
	}
	u.Attach(l.catalog, nil, nil)
	return u
}

// testSource is the source of a testLog.
func testSource(changelog.SourceID) (Source, error) {
	return Source{
		Name: "rec", Database: "rec", Connector: Postgres,
		Place:        func(changelog.Position) (Place, error) { return Place{LSN: 5}, nil },
		PositionText: func(p changelog.Position) string { return "at " + string(p) },
	}, nil
}

func (l *testLog) encoder(o Options) *Encoder {
	l.Helper()
	o.Source = testSource
	e, err := New(o)
	if err != nil {
		l.Fatal(err)
	}
	return e
}

func (l *testLog) encode(o Options) []sinks.Message {
	l.Helper()
	messages, err := l.through(l.encoder(o))
	if err != nil {
		l.Fatal(err)
	}
	return messages
}

func (l *testLog) through(e *Encoder) (messages []sinks.Message, err error) {
	l.Helper()
	err = e.Encode(l.Context(), l.unit(), func(m *sinks.Message) error {
		kept := *m
		kept.Key, kept.Value = bytes.Clone(m.Key), bytes.Clone(m.Value)
		messages = append(messages, kept)
		return nil
	})
	return messages, err
}
