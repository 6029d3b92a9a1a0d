package envelope

import (
	"strconv"

	"cdc/sinks/connect"
)

// postgresKind is the kind of sources of PostgreSQL.
var postgresKind = kind{
	column:     postgresColumn,
	source:     postgresSource,
	sourceHead: writePostgresSource,
	sourceTail: func(*structWriter, *origin) {},
	appendTxID: appendPostgresTxID,
	message: &connect.Schema{
		Type: connect.Struct, Name: "io.debezium.connector.postgresql.MessageValue", Version: 1,
		Fields: []connect.Field{
			{Name: "op", Schema: plain(connect.String)},
			{Name: "ts_ms", Schema: optional(connect.Int64)},
			{Name: "source", Schema: postgresSource},
			{Name: "transaction", Schema: transactionSchema},
			{Name: "message", Schema: &connect.Schema{
				Type: connect.Struct, Name: "io.debezium.connector.postgresql.Message", Version: 1,
				Fields: []connect.Field{{Name: "prefix", Schema: optional(connect.String)}, {Name: "content", Schema: optional(connect.Bytes)}},
			}},
		},
	},
	messageKey: &connect.Schema{
		Type: connect.Struct, Name: "io.debezium.connector.postgresql.MessageKey", Version: 1,
		Fields: []connect.Field{{Name: "prefix", Schema: optional(connect.String)}},
	},
}

var postgresSource = &connect.Schema{
	Type: connect.Struct, Name: "io.debezium.connector.postgresql.Source", Version: 1,
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
		{Name: "schema", Schema: plain(connect.String)},
		{Name: "table", Schema: plain(connect.String)},
		{Name: "txId", Schema: optional(connect.Int64)},
		{Name: "lsn", Schema: optional(connect.Int64)},
		{Name: "xmin", Schema: optional(connect.Int64)},
		{Name: "origin", Schema: optional(connect.String)},
		{Name: "origin_lsn", Schema: optional(connect.Int64)},
	},
}

// writePostgresSource writes the whole block. The sequence has the commit's LSN twice: Debezium's first number is the commit before this
// one, which the log does not tell of a unit by itself; within a transaction the order is that of the transaction block.
func writePostgresSource(w *structWriter, b *origin) {
	micros := int64(b.meta.CommitTime)
	w.text(debeziumVersion)
	w.text(b.connector)
	w.text(b.prefix)
	w.int(floorDiv(micros, 1000))
	w.text(b.snapshot)
	w.text(b.database)
	w.text(appendSequence(b))
	w.int(micros)
	w.int(micros * 1000)
	w.text(b.schemaName)
	w.text(b.tableName)
	w.intOrNull(int64(b.meta.XID))
	w.intOrNull(int64(b.place.LSN))
	w.null()
	w.null()
	w.null()
}

func appendSequence(b *origin) []byte {
	dst := append(b.scratch[:0], '[')
	if len(b.snapshot) == len(markStream) && string(b.snapshot) == string(markStream) {
		dst = append(strconv.AppendUint(append(dst, '"'), b.place.LSN, 10), '"')
	} else {
		dst = append(dst, "null"...)
	}
	dst = strconv.AppendUint(append(dst, `,"`...), b.place.LSN, 10)
	b.scratch = append(dst, `"]`...)
	return b.scratch
}

func appendPostgresTxID(dst []byte, b *origin) []byte {
	if b.meta.XID == 0 {
		return dst // a logical message outside of transactions
	}
	dst = append(strconv.AppendUint(dst, b.meta.XID, 10), ':')
	return strconv.AppendUint(dst, b.place.LSN, 10)
}
