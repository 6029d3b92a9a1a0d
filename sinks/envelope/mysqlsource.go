package envelope

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"cdc/sinks/connect"
)

// Kinds of sources that have a binlog.
var (
	mysqlKind = kind{
		column: mysqlColumn, source: binlogSource("io.debezium.connector.mysql.Source"), sourceHead: writeBinlogHead, sourceTail: writeBinlogTail,
		appendTxID: appendBinlogTxID, statements: true,
	}
	mariadbKind = kind{
		column: mariadbColumn, source: binlogSource("io.debezium.connector.mariadb.Source"), sourceHead: writeBinlogHead, sourceTail: writeBinlogTail,
		appendTxID: appendBinlogTxID, statements: true,
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

// writeBinlogHead writes the block up to the row's place. Debezium's file and pos are where the event of the rows begins, and row is the row's place in
// it; here they are where the transaction ends and the change's place in the transaction, which name a change as well and grow as it
// does.
func writeBinlogHead(w *structWriter, b *origin) {
	streamed := bytes.Equal(b.snapshot, markStream)
	micros := int64(b.meta.CommitTime)
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
	if gtid := b.ownGTID(); streamed && len(gtid) > 0 {
		w.text(gtid)
	} else {
		w.null()
	}
	b.scratch = append(b.scratch[:0], b.place.File...)
	w.text(b.scratch)
	w.int(int64(b.place.Offset))
}

// writeBinlogTail writes the rest of the block. The log has neither the thread nor the statement of a change.
func writeBinlogTail(w *structWriter, b *origin) {
	if bytes.Equal(b.snapshot, markStream) {
		w.int(min(b.order-1, math.MaxInt32))
	} else {
		w.int(0)
	}
	w.null()
	w.null()
}

// appendBinlogTxID appends the transaction's GTID, or where it is in the binlog when it is not known to have one.
func appendBinlogTxID(dst []byte, b *origin) []byte {
	if gtid := b.ownGTID(); len(gtid) > 0 {
		return append(dst, gtid...)
	}
	dst = append(append(dst, "file="...), b.place.File...)
	return strconv.AppendUint(append(dst, ",pos="...), b.place.Offset, 10)
}

// ownGTID is the GTID of the unit's transaction, found once in a unit; empty when it has none.
func (b *origin) ownGTID() []byte {
	if b.gtid == nil && b.place.GTID != "" {
		b.gtid = appendOwnGTID([]byte{}, b.place.GTID, b.meta.XID)
	}
	return b.gtid
}

// appendOwnGTID appends the GTID with the number that is the last of its server's, or its domain's, in the text: a set of MySQL's or
// MariaDB's last ones. It appends nothing when there are several, as it is not known then which one has been added.
func appendOwnGTID(dst []byte, set string, number uint64) []byte {
	start, found := len(dst), 0
	want := strconv.FormatUint(number, 10)
	for item := range strings.SplitSeq(set, ",") {
		item = strings.TrimSpace(item)
		server, _, isSet := strings.Cut(item, ":")
		if !isSet { // domain-server-number
			if item[strings.LastIndexByte(item, '-')+1:] == want {
				dst, found = append(dst[:start], item...), found+1
			}
			continue
		}
		name := server
		for part := range strings.SplitSeq(item[len(server)+1:], ":") {
			first, last, isRange := strings.Cut(part, "-")
			if !isRange {
				last = first
			}
			switch {
			case first == "" || first[0] < '0' || first[0] > '9':
				name = server + ":" + part // a tag, of the intervals that follow
			case last == want:
				dst, found = append(append(append(dst[:start], name...), ':'), want...), found+1
			}
		}
	}
	if found != 1 {
		return dst[:start]
	}
	return dst
}
