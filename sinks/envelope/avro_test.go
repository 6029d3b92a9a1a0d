package envelope

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	twmb "github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"cdc/changelog"
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
			r := newTestRig(t)
			r.addTable("orders", everyKind)
			raw := r.raw(
				"c orders "+everyValue,
				"r orders c-0=8  c-1=null  c-2=null  c-3=0  c-4=null  c-5=null  c-6=null  c-7=null  c-8=null  c-9=null  c-10=null  c-11=null  c-12=null",
				"u orders full "+everyValue+" -> "+strings.Replace(everyValue, "c-0=7", "c-0=9", 1), // another key
				"d orders key c-0=9",
				"m prefix content")
			registry := newRegistry(t)
			options := Options{Format: format, Transactions: true}
			compareMessages(t, registry.read(r.through(options, registry.serializer(AvroOptions{}), raw)), r.through(options, &recorder{}, raw))
		})
	}
}

// Versions of a table take turns, as they do after a restart: each message has the number of its own version's schema, which is
// registered when the message is made.
func TestAvroFollowsColumnsThatComeAndGo(t *testing.T) {
	r := newTestRig(t)
	for version, columns := range map[string]string{"v1": "id integer key\nnote text", "v2": "id integer key\nnote text\nqty bigint", "v3": "id integer key\nqty bigint"} {
		r.addTable("orders", columns)
		r.tables[version] = r.tables["orders"]
	}
	raw := r.raw("c v1 id=1  note=a", "c v2 id=2  note=b  qty=5", "c v1 id=3  note=c", "c v3 id=4  qty=6", "c v2 id=5  note=d  qty=7")
	registry, options := newRegistry(t), Options{Format: DebeziumAvro}
	messages := r.through(options, registry.serializer(AvroOptions{}), raw)
	compareMessages(t, registry.read(messages), r.through(options, &recorder{}, raw))
	var n []uint32
	for _, m := range messages {
		n = append(n, binary.BigEndian.Uint32(m.Value[1:]))
	}
	if n[0] != n[2] || n[1] != n[4] || n[0] == n[1] || n[1] == n[3] || n[0] == n[3] {
		t.Errorf("versions 1 2 1 3 2 have the schemas %v", n)
	}
	if again := r.through(options, registry.serializer(AvroOptions{}), raw); !bytes.Equal(again[4].Value, messages[4].Value) {
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
	r := newTestRig(t)
	r.addTable("orders", "id integer key")
	raw := r.raw("c orders id=1")
	tests := []struct {
		status        int
		stop, refused bool
		text          string
	}{
		{http.StatusServiceUnavailable, false, false, "HTTP 503"},
		{http.StatusForbidden, false, true, "what that user may do"},
		{http.StatusConflict, true, false, `PUT /config/shop.public.orders-key {"compatibility": "NONE"}`},
		{http.StatusUnprocessableEntity, true, false, "what the registry says"},
	}
	for _, test := range tests {
		t.Run(strconv.Itoa(test.status), func(t *testing.T) {
			registry := newRegistry(t)
			encoder := r.newEncoder(Options{Format: DebeziumAvro}, registry.serializer(AvroOptions{}))
			registry.fake.Intercept(func(w http.ResponseWriter, request *http.Request) bool {
				if request.Method == http.MethodPost {
					w.WriteHeader(test.status)
				}
				return request.Method == http.MethodPost
			})
			_, err := r.messages(encoder, raw)
			var stop *sinks.Stop
			var refused *sinks.Refused
			if err == nil || errors.As(err, &stop) != test.stop || errors.As(err, &refused) != test.refused || !strings.Contains(err.Error(), test.text) {
				t.Fatalf("got %v", err)
			}
			if stop != nil && stop.Kind != changelog.StopSchema {
				t.Errorf("the stop is %s", stop.Kind)
			}
			registry.fake.ClearInterceptors()
			if messages, err := r.messages(encoder, raw); err != nil || len(messages) != 1 {
				t.Errorf("afterwards %d messages, %v", len(messages), err)
			}
		})
	}
}

// The remedy of a stop over names must work.
func TestNamesThatBecomeOneAreAStop(t *testing.T) {
	r := newTestRig(t)
	r.addTable("orders", "a+b integer key\na-b integer")
	raw, registry, options := r.raw("c orders a+b=1  a-b=2"), newRegistry(t), Options{Format: DebeziumAvro}
	_, err := r.messages(r.newEncoder(options, registry.serializer(AvroOptions{})), raw)
	var stop *sinks.Stop
	if !errors.As(err, &stop) || stop.Kind != changelog.StopSchema || !strings.Contains(err.Error(), `"a+b" and "a-b"`) || !strings.Contains(stop.Remedy, "avro_unicode") {
		t.Fatalf("got %v", err)
	}
	messages := r.through(options, registry.serializer(AvroOptions{Names: connect.AvroUnicode}), raw)
	after := registry.read(messages)[0].value.(map[string]any)["after"].(map[string]any)
	if after["a_u002bb"] != int32(1) || after["a_u002db"] != int32(2) {
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

// A registry that is named does not turn JSON into Avro.
func TestFormatDecidesWhetherAvroIsWritten(t *testing.T) {
	r := newTestRig(t)
	r.addTable("orders", "id integer key")
	m := r.through(Options{Format: FlatJSON}, newRegistry(t).serializer(AvroOptions{}), r.raw("c orders id=1"))[0]
	if !json.Valid(m.Key) || !json.Valid(m.Value) {
		t.Errorf("got %q with the key %q", m.Value, m.Key)
	}
}

func TestAvroMessagesDoNotAllocate(t *testing.T) {
	r := newTestRig(t)
	r.addTable("orders", everyKind)
	encoder := r.newEncoder(Options{Format: DebeziumAvro}, newRegistry(t).serializer(AvroOptions{}))
	cost := func(changes int) float64 {
		raw := manyChanges(r, "c orders "+everyValue, changes)
		var u changelog.Unit
		return testing.AllocsPerRun(10, func() {
			decode(t, r, raw, &u)
			if err := encoder.Encode(context.Background(), &u, func(*sinks.Message) error { return nil }); err != nil {
				t.Fatal(err)
			}
		})
	}
	const few = 20 // pools lose things by chance under the race detector
	if one, many := cost(1), cost(200); many > one+few {
		t.Errorf("%v allocations for one change, %v for 200", one, many)
	}
}

// BenchmarkFormats is what a message costs in each format.
func BenchmarkFormats(b *testing.B) {
	r := newTestRig(b)
	r.addTable("orders", everyKind)
	const changes = 1000
	raw := manyChanges(r, "u orders full "+everyValue+" -> "+everyValue, changes)
	for _, format := range []Format{DebeziumJSON, DebeziumAvro, FlatJSON, FlatAvro, Native} {
		b.Run("format="+string(format), func(b *testing.B) {
			encoder := r.newEncoder(Options{Format: format}, newRegistry(b).serializer(AvroOptions{}))
			var u changelog.Unit
			var bytes int
			encode := func() {
				decode(b, r, raw, &u)
				if err := encoder.Encode(context.Background(), &u, func(m *sinks.Message) error {
					bytes += len(m.Key) + len(m.Value)
					return nil
				}); err != nil {
					b.Fatal(err)
				}
			}
			encode() // schemas are registered once
			b.ReportAllocs()
			for b.Loop() {
				encode()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/changes, "ns/message")
			b.ReportMetric(float64(bytes)/float64(b.N+1)/changes, "bytes/message")
		})
	}
}

// everyKind is columns of the types whose values Avro writes in different ways, and everyValue a row of them.
const (
	everyKind = "c-0 integer key\nc-1 boolean\nc-2 numeric(10,2)\nc-3 double precision notnull\nc-4 text\nc-5 bytea\nc-6 date\n" +
		"c-7 timestamp without time zone\nc-8 jsonb\nc-9 integer[]\nc-10 point\nc-11 numeric\nc-12 date"
	everyValue = `c-0=7  c-1=t  c-2=1.50  c-3=12.5  c-4=a note ü  c-5=\x00ff  c-6=2024-02-29  c-7=2024-02-29 10:11:12.5  c-8={"a": 1}  ` +
		`c-9={1,NULL,3}  c-10=(1.5,-2)  c-11=1.5  c-12=infinity`
)

// raw is a unit of the changes that lines tell.
func (r *rig) raw(lines ...string) []byte { return r.rawOf(changelog.UnitTx, lines...) }

func (r *rig) rawOf(kind changelog.UnitKind, lines ...string) []byte {
	r.t.Helper()
	var b changelog.UnitBuilder
	b.Reset(kind)
	b.Meta.Source, b.Meta.Epoch, b.Meta.First, b.Meta.XID, b.Meta.Position = 1, 1, 100, 7, "5000"
	b.Meta.CommitTime, b.Meta.Clock = 1700000000123456, 1700000000123999
	for _, line := range lines {
		r.change(&b, line)
	}
	raw, err := b.AppendUnit(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return raw
}

func (r *rig) newEncoder(o Options, s connect.Serializer) *Encoder {
	r.t.Helper()
	o.Source, o.Serializer = r.options.Source, s
	e, err := New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

// messages are those of the unit, kept.
func (r *rig) messages(e *Encoder, raw []byte) (messages []sinks.Message, err error) {
	r.t.Helper()
	var u changelog.Unit
	decode(r.t, r, raw, &u)
	err = e.Encode(context.Background(), &u, func(m *sinks.Message) error {
		kept := *m
		kept.Key, kept.Value = bytes.Clone(m.Key), bytes.Clone(m.Value)
		messages = append(messages, kept)
		return nil
	})
	return messages, err
}

// through are the messages of the unit that a new encoder makes.
func (r *rig) through(o Options, s connect.Serializer, raw []byte) []sinks.Message {
	r.t.Helper()
	messages, err := r.messages(r.newEncoder(o, s), raw)
	if err != nil {
		r.t.Fatal(err)
	}
	return messages
}

// registry is one through which messages are read.
type registry struct {
	testing.TB
	fake *srfake.Registry
}

func newRegistry(t testing.TB) *registry {
	r := &registry{TB: t, fake: srfake.New()}
	t.Cleanup(r.fake.Close)
	return r
}

func (r *registry) serializer(o AvroOptions) *Avro {
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

func (r *registry) read(messages []sinks.Message) (list []readMessage) {
	r.Helper()
	for _, m := range messages {
		list = append(list, readMessage{topic: m.Topic, key: r.decode(m.Key), value: r.decode(m.Value)})
	}
	return list
}

func (r *registry) decode(b []byte) (v any) {
	r.Helper()
	if b == nil {
		return nil
	}
	// The values are compared as they are encoded.
	text := strings.ReplaceAll(r.schemaOf(b), `"logicalType"`, `"meaning"`)
	rest, err := twmb.MustParse(text).Decode(b[headerBytes:], &v)
	if err != nil || len(rest) != 0 {
		r.Fatalf("decode %x: %v, %d bytes left, of %s", b, err, len(rest), text)
	}
	return v
}

// schemaOf is the schema that the registry has under the number in a key or value.
func (r *registry) schemaOf(b []byte) string {
	r.Helper()
	if len(b) < headerBytes || b[0] != 0 {
		r.Fatalf("%x has no number of a schema", b)
	}
	response, err := http.Get(fmt.Sprintf("%s/schemas/ids/%d", r.fake.URL(), binary.BigEndian.Uint32(b[1:])))
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ Schema string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		r.Fatal(err)
	}
	return answer.Schema
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
	heads [][]any // of structs that may be resumed; their bytes are their number
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
func (r *recorder) EndArray(*connect.Schema)            { r.add(append([]any{}, r.end().items...)) }

func (r *recorder) end() *recorded {
	top := r.stack[len(r.stack)-1]
	r.stack = r.stack[:len(r.stack)-1]
	return top
}

func (r *recorder) Mark() int { return len(r.stack[len(r.stack)-1].items) }

func (r *recorder) Since(mark int) []byte {
	r.heads = append(r.heads, slices.Clone(r.stack[len(r.stack)-1].items[mark:]))
	return binary.AppendUvarint(nil, uint64(len(r.heads)-1))
}

func (r *recorder) ResumeStruct(s *connect.Schema, _ int, b []byte) {
	n, _ := binary.Uvarint(b)
	r.stack = append(r.stack, &recorded{schema: s, items: slices.Clone(r.heads[n])})
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
