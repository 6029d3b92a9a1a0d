package envelope

import (
	"context"

	"cdc/sinks"
	"cdc/sinks/connect"
)

// heartbeatPrefix begins the topics of heartbeats (topic.heartbeat.prefix).
const heartbeatPrefix = "__debezium-heartbeat"

// Schemas of heartbeats.
var (
	heartbeatKey = &connect.Schema{
		Type: connect.Struct, Name: "io.debezium.connector.common.ServerNameKey", Version: 1,
		Fields: []connect.Field{{Name: "serverName", Schema: plain(connect.String)}},
	}
	heartbeatValue = &connect.Schema{
		Type: connect.Struct, Name: "io.debezium.connector.common.Heartbeat", Version: 1,
		Fields: []connect.Field{{Name: "ts_ms", Schema: plain(connect.Int64)}},
	}
)

// heartbeat publishes a tick: the source's clock at a place where nothing was in flight.
func (e *Encoder) heartbeat(ctx context.Context) (err error) {
	topic := e.source.beat
	if err := e.form.Begin(ctx, e.key[:0], topic, connect.Key, heartbeatKey); err != nil {
		return err
	}
	e.form.BeginStruct(heartbeatKey)
	e.form.Text(heartbeatKey.Fields[0].Schema, e.source.prefix)
	e.form.EndStruct(heartbeatKey)
	if e.key, err = e.form.End(); err != nil {
		return err
	}
	if err := e.form.Begin(ctx, e.value[:0], topic, connect.Value, heartbeatValue); err != nil {
		return err
	}
	e.form.BeginStruct(heartbeatValue)
	e.form.Int(heartbeatValue.Fields[0].Schema, floorDiv(int64(e.origin.meta.Clock), 1000))
	e.form.EndStruct(heartbeatValue)
	if e.value, err = e.form.End(); err != nil {
		return err
	}
	e.message.Topic, e.message.Key, e.message.Value, e.message.Headers = topic, e.key, e.value, e.message.Headers[:0]
	e.message.Identity = sinks.Identity{Offset: e.origin.meta.Commit()}
	return e.emit(&e.message)
}
