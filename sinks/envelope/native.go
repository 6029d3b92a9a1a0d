package envelope

import (
	"context"
	"fmt"
	"strconv"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks"
)

// NativeEncoder makes messages that are changes as 'cdc tail --json' prints them: values as the log has them, whatever the options
// for Debezium's types say, the old row as far as the source sent it, columns that are absent left out, and truncates and logical
// messages with the rest. The key is an object of the table's key columns. An update that changes the key is one message, under the
// new key; there are no tombstones. It is for one goroutine.
type NativeEncoder struct {
	o       Options
	sources map[changelog.SourceID]*nativeSource
	tables  map[schema.VersionID]*nativeTable
	topics  topicOwners

	change     changelog.Change
	message    sinks.Message
	key, value []byte
	// unit is the members that all messages of a unit have.
	unit []byte
	time timeText
}

var _ sinks.Encoder = (*NativeEncoder)(nil)

// nativeSource is what messages say about a source, prepared.
type nativeSource struct {
	Source
	prefix, messages string
	quoted           []byte // the source's name as JSON
}

// nativeTable is a table version, prepared.
type nativeTable struct {
	topic string
	name  []byte // as JSON
	// columns are the names of the columns as JSON, with the colon.
	columns [][]byte
	key     []bool // which columns are in the key, nil for none
}

// NewNative makes an encoder of the format Native. The options must be valid, else the error joins all problems.
func NewNative(o Options) (*NativeEncoder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	e := &NativeEncoder{
		o: o, sources: map[changelog.SourceID]*nativeSource{}, tables: map[schema.VersionID]*nativeTable{}, topics: topicOwners{},
	}
	return e, e.time.prepare()
}

// Encode implements sinks.Encoder.
func (e *NativeEncoder) Encode(_ context.Context, u *changelog.Unit, emit func(*sinks.Message) error) error {
	if u.Changes() == 0 {
		return nil
	}
	s, err := e.start(u)
	if err != nil {
		return fmt.Errorf("encode the unit at offset %d: %w", u.Meta.First, err)
	}
	for {
		ok, err := u.Next(&e.change)
		if err != nil || !ok {
			return err
		}
		if err := e.encode(s); err != nil {
			return fmt.Errorf("encode the change at offset %d: %w", e.change.Offset, err)
		}
		if err := emit(&e.message); err != nil {
			return err
		}
	}
}

// start writes what the unit's messages have in common.
func (e *NativeEncoder) start(u *changelog.Unit) (*nativeSource, error) {
	s := e.sources[u.Meta.Source]
	if s == nil {
		of, err := e.o.Source(u.Meta.Source)
		if err != nil {
			return nil, err
		}
		s = &nativeSource{Source: of, prefix: of.Name, quoted: schema.AppendJSONString(nil, []byte(of.Name))}
		if e.o.TopicPrefix != "" {
			s.prefix = e.o.TopicPrefix
		}
		s.messages = topicName(s.prefix, "message")
		e.sources[u.Meta.Source] = s
	}
	e.unit = strconv.AppendUint(append(e.unit[:0], `,"commit_offset":`...), uint64(u.Meta.Commit()), 10)
	e.unit = append(e.unit, `,"position":`...)
	if s.PositionText == nil {
		e.unit = append(e.unit, "null"...)
	} else {
		u.LoadPosition()
		e.unit = schema.AppendJSONString(e.unit, []byte(s.PositionText(u.Meta.Position)))
	}
	var err error
	e.unit, err = e.time.append(append(e.unit, `,"commit_time":`...), u.Meta.CommitTime)
	e.unit = append(append(e.unit, `,"source":`...), s.quoted...)
	e.unit = append(e.unit, `,"tx":`...)
	if u.Meta.XID == 0 {
		e.unit = append(e.unit, "null"...)
	} else {
		e.unit = strconv.AppendUint(e.unit, u.Meta.XID, 10)
	}
	return s, err
}

// imageNames says how much of the old row there is.
var imageNames = [...]string{changelog.ImageNone: "none", changelog.ImageKey: "key", changelog.ImageFull: "full"}

// encode makes the message of the change.
func (e *NativeEncoder) encode(s *nativeSource) error {
	c := &e.change
	e.message = sinks.Message{Topic: s.messages, Identity: sinks.Identity{Offset: c.Offset, Part: partChange}}
	b := strconv.AppendUint(append(e.value[:0], `{"offset":`...), uint64(c.Offset), 10)
	b = append(append(b, e.unit...), `,"table":`...)
	if c.Table == nil {
		b = append(b, `null,"op":"m","key":null,"before":null,"after":{"prefix":`...)
		b = schema.AppendJSONString(b, c.Prefix)
		b = fmt.Appendf(append(b, `,"content":"\\x`...), `%x"}`, c.Content)
	} else {
		t, err := e.tableOf(s, c.Table)
		if err != nil {
			return err
		}
		row := c.After
		if row.IsZero() {
			row = c.Before
		}
		if t.key != nil && !row.IsZero() {
			e.key = t.appendObject(e.key[:0], c.Table, row, t.key)
			e.message.Key = e.key
		}
		e.message.Topic = t.topic
		b = append(append(append(b, t.name...), `,"op":"`...), byte(c.Op))
		b = t.appendObject(append(b, `","key":`...), c.Table, row, t.key)
		b = t.appendObject(append(b, `,"before":`...), c.Table, c.Before, nil)
		b = t.appendObject(append(b, `,"after":`...), c.Table, c.After, nil)
	}
	b = append(append(append(b, `,"before_is":"`...), imageNames[c.Image]...), `"}`...)
	e.value, e.message.Value = b, b
	return nil
}

// tableOf is the prepared table version.
func (e *NativeEncoder) tableOf(s *nativeSource, v *schema.Table) (*nativeTable, error) {
	if t := e.tables[v.Version]; t != nil {
		return t, nil
	}
	t := &nativeTable{topic: topicName(s.prefix, v.Schema, v.Name), name: schema.AppendJSONString(nil, []byte(v.Schema+"."+v.Name))}
	if err := e.topics.claim(t.topic, v); err != nil {
		return nil, err
	}
	for i := range v.Columns {
		t.columns = append(t.columns, append(schema.AppendJSONString(nil, []byte(v.Columns[i].Name)), ':'))
	}
	for _, i := range v.KeyColumns() {
		if t.key == nil {
			t.key = make([]bool, len(v.Columns))
		}
		t.key[i] = true
	}
	e.tables[v.Version] = t
	return t, nil
}

// appendObject appends the columns that the row holds, or those of them that only has; null when there is no row.
func (t *nativeTable) appendObject(dst []byte, v *schema.Table, r schema.Row, only []bool) []byte {
	if r.IsZero() {
		return append(dst, "null"...)
	}
	dst = append(dst, '{')
	first := len(dst)
	for i := range v.Columns {
		if r.State(i) == schema.Absent || only != nil && !only[i] {
			continue
		}
		if len(dst) > first {
			dst = append(dst, ',')
		}
		dst = schema.AppendJSON(append(dst, t.columns[i]...), &v.Columns[i], r, i)
	}
	return append(dst, '}')
}

// timeText prints times as the log's own columns are printed.
type timeText struct {
	shape schema.Table
	b     schema.Builder
	row   []byte
}

func (t *timeText) prepare() error {
	t.shape.Columns = []schema.Column{{ID: 1, Name: "time", Kind: schema.TimestampTZ}}
	return t.shape.Prepare()
}

// append appends the time as JSON, null when it is not known.
func (t *timeText) append(dst []byte, at changelog.Micros) ([]byte, error) {
	if at == 0 {
		return append(dst, "null"...), nil
	}
	t.b.Reset(t.shape.Layout(), t.row[:0])
	t.b.Int(0, int64(at)-schema.UnixEpoch2000)
	var err error
	if t.row, err = t.b.Finish(); err != nil {
		return dst, err
	}
	r, err := t.shape.Layout().Row(t.row)
	if err != nil {
		return dst, err
	}
	return schema.AppendJSON(dst, &t.shape.Columns[0], r, 0), nil
}
