package envelope

import (
	"context"

	"cdc/changelog"
	"cdc/sinks"
	"cdc/sinks/connect"
)

// Schemas of the transaction topic.
var (
	transactionKey = &connect.Schema{
		Type: connect.Struct, Name: "io.debezium.connector.common.TransactionMetadataKey", Version: 1,
		Fields: []connect.Field{{Name: "id", Schema: plain(connect.String)}},
	}
	collectionSchema = &connect.Schema{
		Type: connect.Struct, Optional: true, Name: "event.collection", Version: 1,
		Fields: []connect.Field{{Name: "data_collection", Schema: plain(connect.String)}, {Name: "event_count", Schema: plain(connect.Int64)}},
	}
	transactionValue = &connect.Schema{
		Type: connect.Struct, Name: "io.debezium.connector.common.TransactionMetadataValue", Version: 1,
		Fields: []connect.Field{
			{Name: "status", Schema: plain(connect.String)},
			{Name: "id", Schema: plain(connect.String)},
			{Name: "event_count", Schema: optional(connect.Int64)},
			{Name: "data_collections", Schema: &connect.Schema{Type: connect.Array, Optional: true, Items: collectionSchema}},
			{Name: "ts_ms", Schema: plain(connect.Int64)},
		},
	}
)

// Statuses of transactions.
var statusBegin, statusEnd = []byte("BEGIN"), []byte("END")

// begin publishes that the transaction begins, before its first change. A transaction of which nothing is captured has none.
func (e *Encoder) begin(ctx context.Context) error {
	if e.begun || len(e.txID) == 0 {
		return nil
	}
	e.begun = true
	return e.border(ctx, statusBegin, sinks.Identity{Offset: e.change.Offset, Part: partBegin})
}

// end publishes that the transaction has ended, with how much of each table was published.
func (e *Encoder) end(ctx context.Context) error {
	if !e.begun {
		return nil
	}
	return e.border(ctx, statusEnd, sinks.Identity{Offset: e.origin.meta.Commit(), Part: partEnd})
}

// border publishes the beginning or the end of a transaction.
func (e *Encoder) border(ctx context.Context, status []byte, id sinks.Identity) (err error) {
	topic := e.source.transactions
	if err := e.form.Begin(ctx, e.key[:0], topic, connect.Key, transactionKey); err != nil {
		return err
	}
	e.form.BeginStruct(transactionKey)
	e.form.Text(transactionKey.Fields[0].Schema, e.txID)
	e.form.EndStruct(transactionKey)
	if e.key, err = e.form.End(); err != nil {
		return err
	}
	if err := e.form.Begin(ctx, e.value[:0], topic, connect.Value, transactionValue); err != nil {
		return err
	}
	e.form.BeginStruct(transactionValue)
	w := structWriter{out: e.form, s: transactionValue}
	w.text(status)
	w.text(e.txID)
	if id.Offset != e.origin.meta.Commit() {
		w.null()
		w.null()
	} else {
		w.int(e.origin.order)
		e.writeCounts(w.next())
	}
	w.int(floorDiv(int64(e.origin.meta.CommitTime), 1000))
	e.form.EndStruct(transactionValue)
	if e.value, err = e.form.End(); err != nil {
		return err
	}
	e.message.Topic, e.message.Key, e.message.Value, e.message.Headers, e.message.Identity = topic, e.key, e.value, e.message.Headers[:0], id
	return e.emit(&e.message)
}

func (e *Encoder) writeCounts(s *connect.Schema) {
	e.form.BeginArray(s, len(e.touched))
	for _, c := range e.touched {
		e.form.BeginStruct(collectionSchema)
		w := structWriter{out: e.form, s: collectionSchema}
		w.text(c.name)
		w.int(c.events)
		e.form.EndStruct(collectionSchema)
	}
	e.form.EndArray(s)
}

// writeTransaction names the transaction in a change.
func (e *Encoder) writeTransaction(s *connect.Schema, c *collection) {
	if len(e.txID) == 0 {
		e.form.Null(s)
		return
	}
	e.form.BeginStruct(s)
	w := structWriter{out: e.form, s: s}
	w.text(e.txID)
	w.int(e.origin.order)
	w.int(c.events)
	e.form.EndStruct(s)
}

// messageCollection is the data collection that logical messages count for.
const messageCollection = "message"

// logical publishes a logical message.
func (e *Encoder) logical(ctx context.Context) (err error) {
	k := e.source.kind
	c := e.collectionOf(messageCollection)
	e.count(c)
	if e.o.Format == Native {
		return e.nativeMessage()
	}
	e.origin.table, e.origin.schemaName, e.origin.tableName, e.origin.snapshot = nil, nil, nil, markStream
	topic := e.source.messages
	if err := e.form.Begin(ctx, e.key[:0], topic, connect.Key, k.messageKey); err != nil {
		return err
	}
	e.form.BeginStruct(k.messageKey)
	e.form.Text(k.messageKey.Fields[0].Schema, e.change.Prefix)
	e.form.EndStruct(k.messageKey)
	if e.key, err = e.form.End(); err != nil {
		return err
	}
	if err := e.form.Begin(ctx, e.value[:0], topic, connect.Value, k.message); err != nil {
		return err
	}
	e.writeMessage(k.message, c)
	if e.value, err = e.form.End(); err != nil {
		return err
	}
	id := sinks.Identity{Offset: e.change.Offset, Part: partChange}
	e.message.Topic, e.message.Key, e.message.Value, e.message.Headers, e.message.Identity = topic, e.key, e.value, e.message.Headers[:0], id
	return e.emit(&e.message)
}

func (e *Encoder) writeMessage(s *connect.Schema, c *collection) {
	e.form.BeginStruct(s)
	w := structWriter{out: e.form, s: s}
	e.op[0] = byte(changelog.OpMessage)
	w.text(e.op[:])
	w.int(floorDiv(int64(e.origin.meta.Clock), 1000))
	e.writeSource(w.next(), &e.messageHead)
	e.writeTransaction(w.next(), c)
	content := w.next()
	e.form.BeginStruct(content)
	e.form.Text(content.Fields[0].Schema, e.change.Prefix)
	e.form.Bytes(content.Fields[1].Schema, e.change.Content)
	e.form.EndStruct(content)
	e.form.EndStruct(s)
}
