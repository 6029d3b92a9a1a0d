package envelope

import (
	"bytes"
	"context"
	"errors"
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
	flat    bool
	form    connect.Serializer
	headers connect.JSON

	sources     map[changelog.SourceID]*source
	tables      map[schema.VersionID]*table
	collections map[string]*collection
	topics      map[string]topicOwner // whose topic it is
	// owners are those of topics as the log knows them, up to the version indexed.
	owners  map[string][]topicOwner
	indexed schema.VersionID

	// What follows is of the unit that is being encoded.
	emit    func(*sinks.Message) error
	source  *source
	origin  origin
	units   uint64 // so far, so that collections know whether their count is of this one
	touched []*collection
	txID    []byte // empty outside of transactions
	begun   bool   // the beginning has been published
	copied  copyMarks

	block       structWriter // of the source block
	messageHead sourceHead

	change  changelog.Change
	message sinks.Message
	op      [1]byte
	// Memory of messages.
	key, value, oldKey, newKey []byte
}

var _ sinks.Encoder = (*Encoder)(nil)

// leaveOut is what to do about a table that cannot be published.
const leaveOut = "leave the table out of the sink, and report this"

// source is what messages say about a source, prepared.
type source struct {
	Source
	kind                         *kind
	prefix, connector, database  []byte
	transactions, messages, beat string // topics
	context                      []sinks.Header
	prefixText                   string
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
		o: o, flat: o.flat(), form: &connect.JSON{Schemas: o.Schemas}, sources: map[changelog.SourceID]*source{}, tables: map[schema.VersionID]*table{},
		collections: map[string]*collection{}, topics: map[string]topicOwner{},
	}
	if o.avro() {
		e.form = o.Serializer
	}
	return e, nil
}

// Encode implements sinks.Encoder.
func (e *Encoder) Encode(ctx context.Context, u *changelog.Unit, emit func(*sinks.Message) error) error {
	beat := e.o.Heartbeats && u.Meta.Kind == changelog.UnitTick
	if u.Changes() == 0 && !beat {
		return nil
	}
	if err := e.start(u, emit); err != nil {
		return fmt.Errorf("encode the unit at offset %d: %w", u.Meta.First, err)
	}
	if beat {
		return e.heartbeat(ctx)
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
		transactions: topicName(prefix, "transaction"), messages: topicName(prefix, "message"), beat: topicName(heartbeatPrefix, prefix),
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
	if err != nil {
		return nil, stopOf(changelog.StopSchema, v, err)
	}
	owner := ownerOf(v)
	e.index(v.Version)
	if other, ok := e.rival(t.topic, owner); ok {
		return nil, e.sharedTopic(t.topic, owner, other)
	}
	e.topics[t.topic] = owner
	t.collection = e.collectionOf(v.Schema + "." + v.Name)
	e.tables[v.Version] = t
	return t, nil
}

// stopOf is the stop for a table that cannot be published. A column may have named its own.
func stopOf(kind changelog.StopKind, t *schema.Table, err error) *sinks.Stop {
	stop, own := sinks.Stop{Kind: kind, Detail: err.Error(), Remedy: leaveOut}, (*sinks.Stop)(nil)
	if errors.As(err, &own) {
		stop = *own
	}
	stop.Detail = fmt.Sprintf("table %s: %s", t.FullName(), stop.Detail)
	return &stop
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
	c := &e.change
	if e.skips(c.Op) {
		return nil
	}
	if err := e.begin(ctx); err != nil {
		return err
	}
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
	case c.Op == changelog.OpTruncate && !e.o.Truncates:
		return nil
	case e.o.Format == Native:
		return e.native(t)
	case c.Op == changelog.OpUpdate && t.keySchema != nil && t.keyMoved(c.Before, c.After):
		return e.moved(ctx, t)
	}
	e.count(t.collection)
	if err := e.keyOf(ctx, t, c); err != nil {
		return err
	}
	e.message.Headers = append(e.message.Headers[:0], e.source.context...)
	if err := e.publish(ctx, t, c.Op, c.Before, c.After, partChange); err != nil {
		return err
	}
	if c.Op == changelog.OpDelete {
		return e.tombstone(t)
	}
	return nil
}

// skips reports whether no change of the op is published, nor counts as one of a transaction's.
func (e *Encoder) skips(op changelog.Op) bool {
	k := e.source.kind
	switch op {
	case changelog.OpTruncate:
		return k.statements && !e.o.Truncates
	case changelog.OpMessage:
		return k.statements
	}
	return false
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
	if err := e.publish(ctx, t, changelog.OpDelete, c.Before, schema.Row{}, partChange); err != nil {
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
	return e.publish(ctx, t, changelog.OpCreate, schema.Row{}, c.After, partNewKey)
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
func (e *Encoder) publish(ctx context.Context, t *table, op changelog.Op, before, after schema.Row, part uint8) (err error) {
	s := t.envelope
	if e.flat {
		s = t.flat
	}
	if err := e.form.Begin(ctx, e.value[:0], t.topic, connect.Value, s); err != nil {
		return err
	}
	if e.flat {
		e.writeFlat(t, before, after)
	} else {
		e.writeEnvelope(t, op, before, after)
	}
	if e.value, err = e.form.End(); err != nil {
		return err
	}
	if err := t.problem(); err != nil {
		return stopOf(changelog.StopCorrupt, t.version, err)
	}
	e.message.Topic, e.message.Value = t.topic, e.value
	e.message.Identity = sinks.Identity{Offset: e.change.Offset, Part: part}
	return e.emit(&e.message)
}

func (e *Encoder) writeEnvelope(t *table, op changelog.Op, before, after schema.Row) {
	s := t.envelope
	e.form.BeginStruct(s)
	t.writeRow(e.form, t.value, before, blankHole)
	t.writeRow(e.form, t.value, after, unavailableHole)
	e.writeSource(s.Fields[2].Schema, &t.head)
	e.writeTransaction(s.Fields[3].Schema, t.collection)
	w := structWriter{out: e.form, s: s, at: 4}
	e.op[0] = byte(op)
	w.text(e.op[:])
	micros := int64(e.origin.meta.Clock)
	w.int(floorDiv(micros, 1000))
	w.int(micros)
	w.int(micros * 1000)
	e.form.EndStruct(s)
}

// sourceHead is the beginning of a source block as it was last written.
type sourceHead struct {
	unit   uint64 // of what unit; 0 is none
	mark   []byte // of a copy's row
	fields int
	bytes  []byte
}

// writeSource writes the source block, of which the beginning may stand in head from another change.
func (e *Encoder) writeSource(s *connect.Schema, head *sourceHead) {
	w := &e.block
	*w = structWriter{out: e.form, s: s}
	if head.unit == e.units && bytes.Equal(head.mark, e.origin.snapshot) {
		e.form.ResumeStruct(s, head.fields, head.bytes)
		w.at = head.fields
	} else {
		e.form.BeginStruct(s)
		start := e.form.Mark()
		e.source.kind.sourceHead(w, &e.origin)
		*head = sourceHead{unit: e.units, mark: e.origin.snapshot, fields: w.at, bytes: append(head.bytes[:0], e.form.Since(start)...)}
	}
	e.source.kind.sourceTail(w, &e.origin)
	e.form.EndStruct(s)
}

// tombstone follows a delete, with its key and headers, so that a compacted topic forgets the key.
func (e *Encoder) tombstone(t *table) error {
	if e.o.NoTombstones || t.keySchema == nil {
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
