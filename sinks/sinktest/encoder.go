package sinktest

import (
	"context"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks"
)

// encoder makes plain messages: the key is the row's id, the value what the change says, each as JSON; a delete has a tombstone after
// it. A header has the op.
type encoder struct {
	tombstones bool
	message    sinks.Message
	headers    [1]sinks.Header
	op         [1]byte
	topic      map[*schema.Table]string
}

var _ sinks.Encoder = (*encoder)(nil)

// Encode implements sinks.Encoder.
func (e *encoder) Encode(_ context.Context, u *changelog.Unit, emit func(*sinks.Message) error) error {
	var c changelog.Change
	for {
		ok, err := u.Next(&c)
		if !ok || err != nil {
			return err
		}
		row := c.After
		if row.IsZero() {
			row = c.Before
		}
		m := &e.message
		m.Topic = e.name(c.Table)
		m.Key = AppendKey(m.Key[:0], c.Table, row)
		m.Value = AppendValue(m.Value[:0], c.Op, c.Table, row)
		m.Identity = sinks.Identity{Offset: c.Offset}
		e.op[0] = byte(c.Op)
		e.headers[0] = sinks.Header{Name: HeaderName, Value: e.op[:]}
		m.Headers = e.headers[:]
		if err := emit(m); err != nil {
			return err
		}
		if c.Op != changelog.OpDelete || !e.tombstones {
			continue
		}
		tombstone := sinks.Message{Topic: m.Topic, Key: m.Key, Identity: sinks.Identity{Offset: c.Offset, Part: 1}}
		if err := emit(&tombstone); err != nil {
			return err
		}
	}
}

// HeaderName is the header of each message of the suite but tombstones; its value is the op.
const HeaderName = "op"

func (e *encoder) name(t *schema.Table) string {
	if e.topic == nil {
		e.topic = map[*schema.Table]string{}
	}
	name, ok := e.topic[t]
	if !ok {
		name = t.Source + "." + t.Schema + "." + t.Name
		e.topic[t] = name
	}
	return name
}

// AppendKey is the key of the suite's messages, for destinations that keep rows instead of messages.
func AppendKey(dst []byte, t *schema.Table, r schema.Row) []byte {
	dst = append(dst, `{"id":`...)
	return append(schema.AppendText(dst, &t.Columns[0], r, 0), '}')
}

// AppendValue is the value of the suite's messages.
func AppendValue(dst []byte, op changelog.Op, t *schema.Table, r schema.Row) []byte {
	dst = append(append(dst, `{"op":"`...), byte(op))
	dst = schema.AppendText(append(dst, `","count":`...), &t.Columns[1], r, 1)
	dst = schema.AppendJSONString(append(dst, `,"note":`...), r.Bytes(2))
	return append(dst, '}')
}
