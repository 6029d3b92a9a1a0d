package envelope

import (
	"context"
	"fmt"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks"
	"cdc/sinks/connect"
)

// Encoder turns units into messages of Debezium's form. It is for one goroutine.
//
// The messages of a unit depend on the unit alone. So the envelope's own times, which in Debezium's messages are the clock when the
// message was made, are those of the log's clock after the unit: the source's time, which never goes back.
type Encoder struct {
	o       Options
	form    connect.Serializer
	headers connect.JSON

	sources     map[changelog.SourceID]*source
	tables      map[schema.VersionID]*table
	collections map[string]*collection
	topics      map[string]string // full name of the table by topic

	// What follows is of the unit that is being encoded.
	emit    func(*sinks.Message) error
	source  *source
	origin  origin
	units   uint64 // so far, so that collections know whether their count is of this one
	touched []*collection
	txID    []byte // empty outside of transactions
	begun   bool   // the beginning has been published
	copied  copyMarks

	change  changelog.Change
	message sinks.Message
	// Memory of messages.
	key, value, oldKey, newKey, op []byte
}

var _ sinks.Encoder = (*Encoder)(nil)

// source is what messages say about a source, prepared.
type source struct {
	Source
	kind                        *kind
	prefix, connector, database []byte
	transactions, messages      string // topics
	context                     []sinks.Header
	// tables of the source that are published.
	prefixText string
}

// Places of the messages that come of one change.
const (
	partBegin     = 0 // the transaction begins with the change
	partChange    = 1
	partTombstone = 2
	partNewKey    = 3 // the row under its new key
	partEnd       = 0 // of the commit
)

// New makes an encoder. The options must be valid, else the error joins all problems.
func New(o Options) (*Encoder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	e := &Encoder{
		o: o, form: o.Serializer, sources: map[changelog.SourceID]*source{}, tables: map[schema.VersionID]*table{},
		collections: map[string]*collection{}, topics: map[string]string{},
	}
	if e.form == nil {
		e.form = &connect.JSON{Schemas: o.Schemas}
	}
	return e, nil
}

// Encode implements sinks.Encoder.
func (e *Encoder) Encode(ctx context.Context, u *changelog.Unit, emit func(*sinks.Message) error) error {
	if u.Changes() == 0 {
		return nil
	}
	if err := e.start(u, emit); err != nil {
		return fmt.Errorf("encode the unit at offset %d: %w", u.Meta.First, err)
	}
	for {
		ok, err := u.Next(&e.change)
		if err != nil {
			return err
		}
		if !ok {
			return e.end(ctx)
		}
		if err := e.encode(ctx, u); err != nil {
			return fmt.Errorf("encode the change at offset %d: %w", e.change.Offset, err)
		}
	}
}

// start readies the encoder for a unit.
func (e *Encoder) start(u *changelog.Unit, emit func(*sinks.Message) error) error {
	s, err := e.sourceOf(u.Meta.Source)
	if err != nil {
		return err
	}
	u.LoadPosition()
	place, err := s.Place(u.Meta.Position)
	if err != nil {
		return fmt.Errorf("read position: %w", err)
	}
	e.emit, e.source, e.begun, e.touched = emit, s, false, e.touched[:0]
	e.units++
	e.origin = origin{
		source: &s.Source, prefix: s.prefix, connector: s.connector, database: s.database, meta: &u.Meta, place: place,
		snapshot: markStream, scratch: e.origin.scratch,
	}
	e.txID = e.txID[:0]
	if u.Meta.Kind == changelog.UnitTx && e.o.Transactions {
		e.txID = s.kind.appendTxID(e.txID, &e.origin)
	}
	e.copied, err = marksOf(u)
	return err
}

// sourceOf is the prepared source.
func (e *Encoder) sourceOf(id changelog.SourceID) (*source, error) {
	if s := e.sources[id]; s != nil {
		return s, nil
	}
	of, err := e.o.Source(id)
	if err != nil {
		return nil, err
	}
	k, err := kindOf(of.Connector)
	if err != nil {
		return nil, err
	}
	prefix := of.Name
	if e.o.TopicPrefix != "" {
		prefix = e.o.TopicPrefix
	}
	s := &source{
		Source: of, kind: k, prefixText: prefix, prefix: []byte(prefix), connector: []byte(of.Connector), database: []byte(of.Database),
		transactions: topicName(prefix, "transaction"), messages: topicName(prefix, "message"),
	}
	if !e.o.NoContextHeaders {
		s.context = []sinks.Header{
			{Name: "__debezium.context.connectorLogicalName", Value: s.prefix},
			{Name: "__debezium.context.taskId", Value: []byte("0")},
			{Name: "__debezium.context.connectorName", Value: s.connector},
		}
	}
	e.sources[id] = s
	return s, nil
}

// tableOf is the compiled table version.
func (e *Encoder) tableOf(v *schema.Table) (*table, error) {
	if t := e.tables[v.Version]; t != nil {
		return t, nil
	}
	t, err := e.o.compile(e.source.kind, e.source.prefixText, v)
	if err == nil && e.o.flat() {
		t.flat, err = flatten(t.value)
	}
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", v.FullName(), err)
	}
	if other, ok := e.topics[t.topic]; ok && other != v.FullName() {
		return nil, &sinks.Stop{
			Kind:   changelog.StopSchema,
			Detail: fmt.Sprintf("tables %s and %s have one topic, %s, as a topic's name may have letters, digits, '.', '_' and '-' only", other, v.FullName(), t.topic),
			Remedy: "rename one of the tables, or leave one out of the sink",
		}
	}
	e.topics[t.topic] = v.FullName()
	t.collection = e.collectionOf(v.Schema + "." + v.Name)
	e.tables[v.Version] = t
	return t, nil
}

func (e *Encoder) collectionOf(name string) *collection {
	c := e.collections[name]
	if c == nil {
		c = &collection{name: []byte(name)}
		e.collections[name] = c
	}
	return c
}

// encode publishes a change.
func (e *Encoder) encode(ctx context.Context, u *changelog.Unit) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	c := &e.change
	if c.Op == changelog.OpMessage {
		return e.logical(ctx)
	}
	t, err := e.tableOf(c.Table)
	if err != nil {
		return err
	}
	e.origin.table, e.origin.schemaName, e.origin.tableName = c.Table, t.schemaName, t.tableName
	e.origin.snapshot = e.copied.mark(c, u.Changes())
	switch {
	case c.Op == changelog.OpTruncate && (!e.o.Truncates || t.flat != nil):
		return nil
	case c.Op == changelog.OpUpdate && t.keySchema != nil && t.keyMoved(c.Before, c.After):
		return e.moved(ctx, t)
	}
	e.count(t.collection)
	if err := e.keyOf(ctx, t, c); err != nil {
		return err
	}
	e.message.Headers = append(e.message.Headers[:0], e.source.context...)
	if err := e.publish(ctx, t, byte(c.Op), c.Before, c.After, partChange); err != nil {
		return err
	}
	if c.Op == changelog.OpDelete {
		return e.tombstone(t)
	}
	return nil
}

// keyOf puts the key of the row that the change leaves, or deletes, into the message.
func (e *Encoder) keyOf(ctx context.Context, t *table, c *changelog.Change) (err error) {
	row := c.After
	if row.IsZero() {
		row = c.Before
	}
	e.message.Key = nil
	if t.keySchema == nil || row.IsZero() {
		return nil
	}
	e.key, err = e.keyBytes(ctx, e.key[:0], t, row)
	e.message.Key = e.key
	return err
}

func (e *Encoder) keyBytes(ctx context.Context, dst []byte, t *table, row schema.Row) ([]byte, error) {
	if err := e.form.Begin(ctx, dst, t.topic, connect.Key, t.keySchema); err != nil {
		return dst, err
	}
	t.writeKey(e.form, row)
	return e.form.End()
}

// moved publishes an update that has given the row another key: the row is deleted under its old key and made under the new one, and
// each of the two says in a header what the other key is.
func (e *Encoder) moved(ctx context.Context, t *table) (err error) {
	c := &e.change
	if e.key, err = e.keyBytes(ctx, e.key[:0], t, c.Before); err != nil {
		return err
	}
	if e.oldKey, err = e.headerKey(ctx, e.oldKey[:0], t, c.Before); err != nil {
		return err
	}
	if e.newKey, err = e.headerKey(ctx, e.newKey[:0], t, c.After); err != nil {
		return err
	}
	e.count(t.collection)
	e.message.Key = e.key
	e.message.Headers = append(append(e.message.Headers[:0], sinks.Header{Name: "__debezium.newkey", Value: e.newKey}), e.source.context...)
	if err := e.publish(ctx, t, 'd', c.Before, schema.Row{}, partChange); err != nil {
		return err
	}
	if err := e.tombstone(t); err != nil {
		return err
	}
	if e.key, err = e.keyBytes(ctx, e.key[:0], t, c.After); err != nil {
		return err
	}
	e.count(t.collection)
	e.message.Key = e.key
	e.message.Headers = append(append(e.message.Headers[:0], sinks.Header{Name: "__debezium.oldkey", Value: e.oldKey}), e.source.context...)
	return e.publish(ctx, t, 'c', schema.Row{}, c.After, partNewKey)
}

// headerKey is a key as a header has it: Connect's own converter of headers writes structs as JSON, whatever the message's form is.
func (e *Encoder) headerKey(ctx context.Context, dst []byte, t *table, row schema.Row) ([]byte, error) {
	if err := e.headers.Begin(ctx, dst, t.topic, connect.Key, t.keySchema); err != nil {
		return dst, err
	}
	t.writeKey(&e.headers, row)
	return e.headers.End()
}

// count adds an event to the collection, and to the unit.
func (e *Encoder) count(c *collection) {
	e.origin.order++
	if c.unit != e.units {
		c.unit, c.events = e.units, 0
		e.touched = append(e.touched, c)
	}
	c.events++
}

// publish hands over the message of a change, whose key and headers are set.
func (e *Encoder) publish(ctx context.Context, t *table, op byte, before, after schema.Row, part uint8) error {
	if t.flat != nil {
		return e.publishFlat(ctx, t, before, after, part)
	}
	s := t.envelope
	if err := e.form.Begin(ctx, e.value[:0], t.topic, connect.Value, s); err != nil {
		return err
	}
	e.form.BeginStruct(s)
	t.writeRow(e.form, t.value, before, blankHole)
	t.writeRow(e.form, t.value, after, unavailableHole)
	e.source.kind.writeSource(e.form, s.Fields[2].Schema, &e.origin)
	e.writeTransaction(s.Fields[3].Schema, t.collection)
	w := structWriter{out: e.form, s: s, at: 4}
	e.op = append(e.op[:0], op)
	w.text(e.op)
	micros := int64(e.origin.meta.Clock)
	w.int(floorDiv(micros, 1000))
	w.int(micros)
	w.int(micros * 1000)
	e.form.EndStruct(s)
	return e.finish(t, part)
}

// finish hands over a message whose value has been written.
func (e *Encoder) finish(t *table, part uint8) (err error) {
	if e.value, err = e.form.End(); err != nil {
		return err
	}
	if err := t.problem(); err != nil {
		return fmt.Errorf("table %s: %w", t.version.FullName(), err)
	}
	e.message.Topic, e.message.Value = t.topic, e.value
	e.message.Identity = sinks.Identity{Offset: e.change.Offset, Part: part}
	return e.emit(&e.message)
}

// tombstone follows a delete, with its key and headers, so that a compacted topic forgets the key.
func (e *Encoder) tombstone(t *table) error {
	if e.o.NoTombstones || t.keySchema == nil || t.flat != nil {
		return nil
	}
	e.message.Value = nil
	e.message.Identity.Part = partTombstone
	return e.emit(&e.message)
}

// floorDiv divides towards minus infinity, as times before 1970 are divided.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
