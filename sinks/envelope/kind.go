package envelope

import (
	"fmt"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks/connect"
)

// kind is what differs between kinds of sources.
type kind struct {
	column typer
	// source is the schema of the block that tells where a change comes from. sourceHead writes the first fields, which all changes of
	// a unit in one table have alike as long as their mark is the same; sourceTail writes the others, if there are any.
	source                 *connect.Schema
	sourceHead, sourceTail func(w *structWriter, b *origin)
	// appendTxID appends the name of the unit's transaction; nothing when the unit is none.
	appendTxID func(dst []byte, b *origin) []byte
	// message is the value of a logical message, messageKey its key; nil for sources that have none.
	message, messageKey *connect.Schema
	// statements says that truncates are statements of their own, in no transaction, and that logical messages are statements' text.
	statements bool
}

// kindOf is the kind of a connector.
func kindOf(c Connector) (*kind, error) {
	switch c {
	case Postgres:
		return &postgresKind, nil
	case MySQL:
		return &mysqlKind, nil
	case MariaDB:
		return &mariadbKind, nil
	}
	return nil, fmt.Errorf("no messages can be made of a source of kind %q", c)
}

// origin is what a source block may tell of a change.
type origin struct {
	source *Source
	// prefix is what topics begin with.
	prefix, connector []byte
	database          []byte
	meta              *changelog.UnitMeta
	place             Place
	gtid              []byte // see ownGTID
	snapshot          []byte
	// table is nil for messages.
	table *schema.Table
	// schemaName and tableName are the table's, empty for messages.
	schemaName, tableName []byte
	// order is the change's place among the published ones of its unit, from 1.
	order int64
	// scratch is for texts that are put together.
	scratch []byte
}

// Marks of rows that come from a copy, and of changes that do not.
var (
	markStream      = []byte("false")
	markFirst       = []byte("first")
	markFirstOfIts  = []byte("first_in_data_collection")
	markCopy        = []byte("true")
	markLast        = []byte("last")
	markIncremental = []byte("incremental")
)

// debeziumVersion is the release whose format messages have.
var debeziumVersion = []byte("3.5.0.Final")

// Schemas of Debezium that several kinds share.
var (
	snapshotSchema = &connect.Schema{
		Type: connect.String, Optional: true, Name: "io.debezium.data.Enum", Version: 1, Default: []byte(`"false"`),
		Parameters: []connect.Parameter{{Name: "allowed", Value: "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"}},
	}
	transactionSchema = &connect.Schema{
		Type: connect.Struct, Optional: true, Name: "event.block", Version: 1,
		Fields: []connect.Field{{Name: "id", Schema: plain(connect.String)}, {Name: "total_order", Schema: plain(connect.Int64)}, {Name: "data_collection_order", Schema: plain(connect.Int64)}},
	}
)

// plain is a type without a name, optional with one that may be null.
func plain(t connect.Type) *connect.Schema    { return &connect.Schema{Type: t} }
func optional(t connect.Type) *connect.Schema { return &connect.Schema{Type: t, Optional: true} }

// write helpers for the next field of a struct, whose place is counted in at.
type structWriter struct {
	out connect.Output
	s   *connect.Schema
	at  int
}

func (w *structWriter) next() *connect.Schema {
	w.at++
	return w.s.Fields[w.at-1].Schema
}

func (w *structWriter) text(v []byte) { w.out.Text(w.next(), v) }
func (w *structWriter) int(v int64)   { w.out.Int(w.next(), v) }
func (w *structWriter) null()         { w.out.Null(w.next()) }

// intOrNull writes null for 0.
func (w *structWriter) intOrNull(v int64) {
	if v == 0 {
		w.null()
		return
	}
	w.int(v)
}
