package envelope

import (
	"bytes"
	"math"
	"strconv"

	"cdc/sinks/connect"
)

// Kinds of sources that have a binlog.
var (
	mysqlKind = kind{
		column: mysqlColumn, source: binlogSource("io.debezium.connector.mysql.Source"), writeSource: writeBinlogSource,
		appendTxID: appendBinlogTxID,
	}
	mariadbKind = kind{
		column: mariadbColumn, source: binlogSource("io.debezium.connector.mariadb.Source"), writeSource: writeBinlogSource,
		appendTxID: appendBinlogTxID,
	}
)

// binlogSource is the schema of the source block (Debezium 3.5, BinlogSourceInfoStructMaker).
func binlogSource(name string) *connect.Schema {
	return &connect.Schema{
		Type: connect.Struct, Name: name, Version: 1,
		Fields: []connect.Field{
			{Name: "version", Schema: plain(connect.String)},
			{Name: "connector", Schema: plain(connect.String)},
			{Name: "name", Schema: plain(connect.String)},
			{Name: "ts_ms", Schema: plain(connect.Int64)},
			{Name: "snapshot", Schema: snapshotSchema},
			{Name: "db", Schema: plain(connect.String)},
			{Name: "sequence", Schema: optional(connect.String)},
			{Name: "ts_us", Schema: optional(connect.Int64)},
			{Name: "ts_ns", Schema: optional(connect.Int64)},
			{Name: "table", Schema: optional(connect.String)},
			{Name: "server_id", Schema: plain(connect.Int64)},
			{Name: "gtid", Schema: optional(connect.String)},
			{Name: "file", Schema: plain(connect.String)},
			{Name: "pos", Schema: plain(connect.Int64)},
			{Name: "row", Schema: plain(connect.Int32)},
			{Name: "thread", Schema: optional(connect.Int64)},
			{Name: "query", Schema: optional(connect.String)},
		},
	}
}

// writeBinlogSource writes the block. Debezium's file and pos are where the event of the rows begins, and row is the row's place in
// it; here they are where the transaction ends and the change's place in the transaction, which name a change as well and grow as it
// does. The log has neither the thread nor the statement of a change.
func writeBinlogSource(out connect.Output, s *connect.Schema, b *origin) {
	streamed := bytes.Equal(b.snapshot, markStream)
	micros := int64(b.meta.CommitTime)
	out.BeginStruct(s)
	w := structWriter{out: out, s: s}
	w.text(debeziumVersion)
	w.text(b.connector)
	w.text(b.prefix)
	w.int(floorDiv(micros, 1000))
	w.text(b.snapshot)
	w.text(b.schemaName)
	w.null()
	w.int(micros)
	w.int(micros * 1000)
	w.text(b.tableName)
	if streamed {
		w.int(int64(b.place.ServerID))
	} else {
		w.int(0)
	}
	if streamed && b.place.GTID != "" {
		b.scratch = append(b.scratch[:0], b.place.GTID...)
		w.text(b.scratch)
	} else {
		w.null()
	}
	b.scratch = append(b.scratch[:0], b.place.File...)
	w.text(b.scratch)
	w.int(int64(b.place.Offset))
	if streamed {
		w.int(min(b.order-1, math.MaxInt32))
	} else {
		w.int(0)
	}
	w.null()
	w.null()
	out.EndStruct(s)
}

// appendBinlogTxID appends the transaction's GTID, or where it is in the binlog of a server that has none.
func appendBinlogTxID(dst []byte, b *origin) []byte {
	if b.place.GTID != "" {
		return append(dst, b.place.GTID...)
	}
	dst = append(append(dst, "file="...), b.place.File...)
	return strconv.AppendUint(append(dst, ",pos="...), b.place.Offset, 10)
}
