package envelope

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	twmb "github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"cdc/changelog"
	"cdc/schema"
	"cdc/schema/avro"
	"cdc/sinks"
	"cdc/sinks/connect"
)

// Goal: a reader who knows nothing but the registry reads every key and value as it was meant, whatever the table was like then.
//
// Method: the same changes go through the encoder twice, with Avro and with a serializer that keeps what it is given. Another
// implementation of Avro decodes the messages, each with the schema that the registry has under the number in it.

func TestAvroMessagesAreReadThroughTheRegistry(t *testing.T) {
	for _, format := range []Format{DebeziumAvro, FlatAvro} {
		t.Run(string(format), func(t *testing.T) {
			l := newTestLog(t)
			table := l.table("orders", everyKind()...)
			full := l.row(table, "7", "t", "1.50", "12.5", "a note", `\x00ff`, "2024-02-29", "2024-02-29 10:11:12.5", `{"a": 1}`, "{1,NULL,3}", "(1.5,-2)", "1.5", "infinity")
			nulls := l.row(table, "8")
			key := l.key(table, "7")
			l.change(changelog.OpCreate, table, nil, full)
			l.change(changelog.OpRead, table, nil, nulls)
			l.change(changelog.OpUpdate, table, full, nulls) // another key
			l.change(changelog.OpDelete, table, key, nil)
			l.message()
			r := newReader(t)
			got := r.read(l.encode(Options{Format: format, Transactions: true, Truncates: true, Serializer: r.serializer(AvroOptions{})}))
			want := l.encode(Options{Format: format, Transactions: true, Truncates: true, Serializer: &recorder{}})
			compareMessages(t, got, want)
		})
	}
}

// Versions of a table take turns, as they do after a restart: each message has the number of its own version's schema, which is
// registered when the message is made.
func TestAvroFollowsColumnsThatComeAndGo(t *testing.T) {
	l := newTestLog(t)
	id := schema.Column{ID: 1, Name: "id", Kind: schema.Int32, SQLType: "integer", Key: 1, NotNull: true}
	note := schema.Column{ID: 2, Name: "note", Kind: schema.Text, SQLType: "text"}
	qty := schema.Column{ID: 3, Name: "qty", Kind: schema.Int64, SQLType: "bigint"}
	one := l.table("orders", id, note)
	two := l.table("orders", id, note, qty)
	three := l.table("orders", id, qty)
	rows := []struct {
		table *schema.Table
		row   []byte
	}{
		{one, l.row(one, "1", "a")},
		{two, l.row(two, "2", "b", "5")},
		{one, l.row(one, "3", "c")},
		{three, l.row(three, "4", "6")},
		{two, l.row(two, "5", "d", "7")},
	}
	for _, r := range rows {
		l.change(changelog.OpCreate, r.table, nil, r.row)
	}
	r := newReader(t)
	messages := l.encode(Options{Format: DebeziumAvro, Serializer: r.serializer(AvroOptions{})})
	compareMessages(t, r.read(messages), l.encode(Options{Format: DebeziumAvro, Serializer: &recorder{}}))
	var numbers []uint32
	for _, m := range messages {
		numbers = append(numbers, binary.BigEndian.Uint32(m.Value[1:]))
	}
	if n := numbers; n[0] != n[2] || n[1] != n[4] || n[0] == n[1] || n[1] == n[3] || n[0] == n[3] {
		t.Errorf("versions 1 2 1 3 2 have the schemas %v", n)
	}
	if again := l.encode(Options{Format: DebeziumAvro, Serializer: r.serializer(AvroOptions{})}); !bytes.Equal(again[4].Value, messages[4].Value) {
		t.Error("another process makes another message of the same change")
	}
}

func TestSubjectsFollowTheStrategy(t *testing.T) {
	s := &connect.Schema{Type: connect.Struct, Name: "shop.public.order-items.Value"}
	for strategy, want := range map[Subjects][2]string{
		"":                 {"shop.public.order-items-key", "shop.public.order-items-value"},
		SubjectTopic:       {"shop.public.order-items-key", "shop.public.order-items-value"},
		SubjectRecord:      {"shop.public.order_items.Value", "shop.public.order_items.Value"},
		SubjectTopicRecord: {"shop.public.order-items-shop.public.order_items.Value", "shop.public.order-items-shop.public.order_items.Value"},
	} {
		a := Avro{o: AvroOptions{Keys: strategy, Values: strategy}}
		for part := range want {
			if got := a.subject(avroUse{schema: s, topic: "shop.public.order-items", part: connect.Part(part)}); got != want[part] {
				t.Errorf("strategy %q, part %d: subject %q, want %q", strategy, part, got, want[part])
			}
		}
	}
}

// What the registry answers decides whether the sink tries again, waits for somebody or stops; after an error that passes, the same
// encoder goes on.
func TestRegistryErrorsAreClassed(t *testing.T) {
	l := newTestLog(t)
	table := l.table("orders", schema.Column{ID: 1, Name: "id", Kind: schema.Int32, SQLType: "integer", Key: 1, NotNull: true})
	l.change(changelog.OpCreate, table, nil, l.row(table, "1"))
	tests := []struct {
		status        int
		stop, refused bool
		text          string
	}{
		{http.StatusServiceUnavailable, false, false, "HTTP 503"},
		{http.StatusForbidden, false, true, "what that user may do"},
		{http.StatusConflict, true, false, `PUT /config/rec.public.orders-key {"compatibility": "NONE"}`},
		{http.StatusUnprocessableEntity, true, false, "what the registry says"},
	}
	for _, test := range tests {
		t.Run(strconv.Itoa(test.status), func(t *testing.T) {
			r := newReader(t)
			encoder := l.encoder(Options{Format: DebeziumAvro, Serializer: r.serializer(AvroOptions{})})
			r.fake.Intercept(func(w http.ResponseWriter, request *http.Request) bool {
				if request.Method == http.MethodPost {
					w.WriteHeader(test.status)
				}
				return request.Method == http.MethodPost
			})
			_, err := l.through(encoder)
			var stop *sinks.Stop
			var refused *sinks.Refused
			if err == nil || errors.As(err, &stop) != test.stop || errors.As(err, &refused) != test.refused || !strings.Contains(err.Error(), test.text) {
				t.Fatalf("got %v", err)
			}
			if stop != nil && stop.Kind != changelog.StopSchema {
				t.Errorf("the stop is %s", stop.Kind)
			}
			r.fake.ClearInterceptors()
			if messages, err := l.through(encoder); err != nil || len(messages) != 1 {
				t.Errorf("afterwards %d messages, %v", len(messages), err)
			}
		})
	}
}

// The remedy of a stop over names must work.
func TestNamesThatBecomeOneAreAStop(t *testing.T) {
	l := newTestLog(t)
	table := l.table("orders",
		schema.Column{ID: 1, Name: "a b", Kind: schema.Int32, SQLType: "integer", Key: 1, NotNull: true},
		schema.Column{ID: 2, Name: "a-b", Kind: schema.Int32, SQLType: "integer"})
	l.change(changelog.OpCreate, table, nil, l.row(table, "1", "2"))
	r := newReader(t)
	_, err := l.through(l.encoder(Options{Format: DebeziumAvro, Serializer: r.serializer(AvroOptions{})}))
	var stop *sinks.Stop
	if !errors.As(err, &stop) || stop.Kind != changelog.StopSchema || !strings.Contains(err.Error(), `"a b" and "a-b"`) || !strings.Contains(stop.Remedy, "avro_unicode") {
		t.Fatalf("got %v", err)
	}
	messages, err := l.through(l.encoder(Options{Format: DebeziumAvro, Serializer: r.serializer(AvroOptions{Names: connect.AvroUnicode})}))
	if err != nil {
		t.Fatal(err)
	}
	after := r.read(messages)[0].value.(map[string]any)["after"].(map[string]any)
	if after["a_u0020b"] != int32(1) || after["a_u002db"] != int32(2) {
		t.Errorf("the row is %v", after)
	}
}

func TestAvroOptionsAreChecked(t *testing.T) {
	_, err := NewAvro(AvroOptions{Keys: "topics", Names: "avr"})
	for _, want := range []string{"no schema registry", `"topics"`, `did you mean "avro"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestAvroMessagesDoNotAllocate(t *testing.T) {
	l := newTestLog(t)
	table := l.table("orders", everyKind()[:7]...)
	l.change(changelog.OpCreate, table, nil, l.row(table, "7", "t", "1.50", "12.5", "a note", `\x00ff`, "2024-02-29"))
	r := newReader(t)
	encoder := l.encoder(Options{Format: DebeziumAvro, Serializer: r.serializer(AvroOptions{})})
	if _, err := l.through(encoder); err != nil {
		t.Fatal(err)
	}
	unit := l.unit()
	if _, err := unit.Next(&encoder.change); err != nil {
		t.Fatal(err)
	}
	encoder.emit = func(*sinks.Message) error { return nil }
	if n := testing.AllocsPerRun(100, func() {
		if err := encoder.encode(context.Background(), unit); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a message", n)
	}
}

// everyKind is columns of the types whose values Avro writes in different ways.
func everyKind() []schema.Column {
	types := []struct {
		kind schema.Kind
		sql  string
	}{
		{schema.Int32, "integer"},
		{schema.Bool, "boolean"},
		{schema.Decimal, "numeric(10,2)"},
		{schema.Float64, "double precision"},
		{schema.Text, "text"},
		{schema.Bytes, "bytea"},
		{schema.Date, "date"},
		{schema.Timestamp, "timestamp without time zone"},
		{schema.JSON, "jsonb"},
		{schema.Raw, "integer[]"},
		{schema.Raw, "point"},
		{schema.Decimal, "numeric"},
		{schema.Date, "date"},
	}
	columns := make([]schema.Column, len(types))
	for i, typ := range types {
		columns[i] = schema.Column{ID: uint32(i + 1), Name: fmt.Sprintf("c-%d %s", i, typ.sql), Kind: typ.kind, SQLType: typ.sql}
		if typ.sql == "numeric(10,2)" {
			columns[i].Precision, columns[i].Scale = 10, 2
		}
	}
	columns[0].Key, columns[0].NotNull, columns[3].NotNull = 1, true, true
	return columns
}

// testLog makes units of one transaction.
type testLog struct {
	*testing.T
	catalog *changelog.Catalog
	b       changelog.UnitBuilder
}

func newTestLog(t *testing.T) *testLog {
	l := &testLog{T: t, catalog: changelog.NewCatalog()}
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
func (l *testLog) key(t *schema.Table, text string) []byte {
	l.Helper()
	var b schema.Builder
	b.Reset(t.Layout(), nil)
	if err := schema.ParseText(&b, 0, &t.Columns[0], []byte(text)); err != nil {
		l.Fatal(err)
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

func (l *testLog) unit() *changelog.Unit {
	l.Helper()
	raw, err := l.b.AppendUnit(nil)
	if err != nil {
		l.Fatal(err)
	}
	u := new(changelog.Unit)
	if _, err := changelog.DecodeUnit(raw, u); err != nil {
		l.Fatal(err)
	}
	u.Attach(l.catalog, nil, nil)
	return u
}

func (l *testLog) encoder(o Options) *Encoder {
	l.Helper()
	o.Source = func(changelog.SourceID) (Source, error) {
		return Source{Name: "rec", Database: "rec", Connector: Postgres, Place: func(changelog.Position) (Place, error) { return Place{LSN: 5}, nil }}, nil
	}
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

// reader reads messages through a registry.
type reader struct {
	*testing.T
	fake *srfake.Registry
}

func newReader(t *testing.T) *reader {
	r := &reader{T: t, fake: srfake.New()}
	t.Cleanup(r.fake.Close)
	return r
}

func (r *reader) serializer(o AvroOptions) *Avro {
	r.Helper()
	var err error
	if o.Registry, err = avro.NewRegistry(avro.RegistryOptions{URL: r.fake.URL()}); err != nil {
		r.Fatal(err)
	}
	a, err := NewAvro(o)
	if err != nil {
		r.Fatal(err)
	}
	return a
}

// readMessage is a message whose bytes have become values.
type readMessage struct {
	topic      string
	key, value any
}

func (r *reader) read(messages []sinks.Message) (list []readMessage) {
	r.Helper()
	for _, m := range messages {
		list = append(list, readMessage{topic: m.Topic, key: r.decode(m.Key), value: r.decode(m.Value)})
	}
	return list
}

func (r *reader) decode(b []byte) (v any) {
	r.Helper()
	if b == nil {
		return nil
	}
	if len(b) < 5 || b[0] != 0 {
		r.Fatalf("%x has no number of a schema", b)
	}
	response, err := http.Get(fmt.Sprintf("%s/schemas/ids/%d", r.fake.URL(), binary.BigEndian.Uint32(b[1:])))
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatal(err)
	}
	var answer struct{ Schema string }
	if err := json.Unmarshal(text, &answer); err != nil {
		r.Fatal(err)
	}
	// The values are compared as they are encoded.
	plain := strings.ReplaceAll(answer.Schema, `"logicalType"`, `"meaning"`)
	rest, err := twmb.MustParse(plain).Decode(b[5:], &v)
	if err != nil || len(rest) != 0 {
		r.Fatalf("decode %x: %v, %d bytes left, of %s", b, err, len(rest), answer.Schema)
	}
	return v
}

// compareMessages compares what was read with what recorders were given.
func compareMessages(t *testing.T, got []readMessage, want []sinks.Message) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d messages, want %d", len(got), len(want))
	}
	for i, m := range want {
		if got[i].topic != m.Topic {
			t.Errorf("message %d is of topic %s, want %s", i, got[i].topic, m.Topic)
		}
		for what, pair := range map[string][2]any{"key": {got[i].key, m.Key}, "value": {got[i].value, m.Value}} {
			text := "<nil>"
			if b := pair[1].([]byte); b != nil {
				text = string(b)
			}
			if read := fmt.Sprintf("%v", pair[0]); read != text {
				t.Errorf("message %d has the %s\n%s, want\n%s", i, what, read, text)
			}
		}
	}
}

// recorder is a serializer whose bytes are the text of the values, as fmt prints what a reader of Avro makes of them.
type recorder struct {
	dst   []byte
	stack []*recorded
}

// recorded is a value that has begun; the items of maps are their keys and values in turns.
type recorded struct {
	schema *connect.Schema
	items  []any
}

func (r *recorder) Begin(_ context.Context, dst []byte, _ string, _ connect.Part, _ *connect.Schema) error {
	r.dst, r.stack = dst, []*recorded{{}}
	return nil
}

func (r *recorder) End() ([]byte, error) { return fmt.Appendf(r.dst, "%v", r.stack[0].items[0]), nil }

func (r *recorder) add(v any) {
	top := r.stack[len(r.stack)-1]
	top.items = append(top.items, v)
}

func (r *recorder) Null(*connect.Schema)           { r.add(nil) }
func (r *recorder) Bool(_ *connect.Schema, v bool) { r.add(v) }
func (r *recorder) Int(_ *connect.Schema, v int64) { r.add(v) }
func (r *recorder) Float(s *connect.Schema, v float64) {
	if s.Type == connect.Float32 {
		r.add(float32(v))
		return
	}
	r.add(v)
}
func (r *recorder) Text(_ *connect.Schema, v []byte)    { r.add(string(v)) }
func (r *recorder) Bytes(_ *connect.Schema, v []byte)   { r.add(bytes.Clone(v)) }
func (r *recorder) BeginStruct(s *connect.Schema)       { r.stack = append(r.stack, &recorded{schema: s}) }
func (r *recorder) BeginArray(s *connect.Schema, _ int) { r.BeginStruct(s) }
func (r *recorder) BeginMap(s *connect.Schema, _ int)   { r.BeginStruct(s) }
func (r *recorder) EndArray(*connect.Schema) { r.add(append([]any{}, r.end().items...)) }

func (r *recorder) end() *recorded {
	top := r.stack[len(r.stack)-1]
	r.stack = r.stack[:len(r.stack)-1]
	return top
}

func (r *recorder) EndMap(*connect.Schema) {
	entries, items := map[string]any{}, r.end().items
	for i := 0; i < len(items); i += 2 {
		entries[items[i].(string)] = items[i+1]
	}
	r.add(entries)
}

func (r *recorder) EndStruct(*connect.Schema) {
	fields, top := map[string]any{}, r.end()
	for i, f := range top.schema.Fields {
		fields[strings.NewReplacer("-", "_", " ", "_", "(", "_", ")", "_", ",", "_", "[", "_", "]", "_").Replace(f.Name)] = top.items[i]
	}
	r.add(fields)
}
