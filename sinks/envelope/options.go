package envelope

import (
	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks/connect"
)

// Format is the shape of messages.
type Format string

// Formats.
const (
	DebeziumJSON Format = "debezium-json"
	DebeziumAvro Format = "debezium-avro"
	FlatJSON     Format = "flat-json" // the new row alone, with __deleted
	FlatAvro     Format = "flat-avro"
	Native       Format = "native" // as 'cdc tail --json' prints a change
)

// DecimalMode is what becomes of decimals, by Debezium's name decimal.handling.mode.
type DecimalMode string

// Decimal modes.
const (
	DecimalPrecise DecimalMode = "precise"
	DecimalString  DecimalMode = "string"
	DecimalDouble  DecimalMode = "double"
)

// TimeMode is what becomes of dates and times, by Debezium's name time.precision.mode.
type TimeMode string

// Time modes.
const (
	TimeAdaptive     TimeMode = "adaptive"
	TimeAdaptiveTime TimeMode = "adaptive_time_microseconds"
	TimeConnect      TimeMode = "connect"
	TimeISO          TimeMode = "isostring"
)

// BinaryMode is what becomes of bytes, by Debezium's name binary.handling.mode.
type BinaryMode string

// Binary modes.
const (
	BinaryBytes  BinaryMode = "bytes"
	BinaryBase64 BinaryMode = "base64"
	BinaryURL    BinaryMode = "base64-url-safe"
	BinaryHex    BinaryMode = "hex"
)

// UnsignedMode is what becomes of MySQL's BIGINT UNSIGNED, by Debezium's name bigint.unsigned.handling.mode.
type UnsignedMode string

// Unsigned modes.
const (
	UnsignedLong    UnsignedMode = "long"
	UnsignedPrecise UnsignedMode = "precise"
)

// Options say what messages look like. The zero value is what Debezium does by default, as JSON without schemas.
type Options struct {
	Format Format
	// Schemas puts the schema into each key and value (JSON only), as JsonConverter's schemas.enable.
	Schemas bool
	// Decimals is DecimalPrecise when empty, Times TimeAdaptive for Postgres and TimeAdaptiveTime for MySQL and MariaDB, Binary
	// BinaryBytes, Unsigned UnsignedLong.
	Decimals DecimalMode
	Times    TimeMode
	Binary   BinaryMode
	Unsigned UnsignedMode
	// Strict imitates Debezium also where it is wrong, for readers that depend on it.
	Strict bool
	// NoTombstones leaves out the tombstone that follows a delete.
	NoTombstones bool
	// Transactions publishes the beginning and the end of each transaction to the topic <prefix>.transaction, and names the
	// transaction in each change.
	Transactions bool
	// Heartbeats publishes to the topic __debezium-heartbeat.<prefix> how far a source is that changes nothing.
	Heartbeats bool
	// Truncates publishes changes of op t, which Debezium skips by default.
	Truncates bool
	// NoContextHeaders leaves out the headers __debezium.context.*, which say in every message which connector it comes from: 150
	// bytes that only readers of OpenLineage use.
	NoContextHeaders bool
	// TopicPrefix replaces the source's name at the beginning of topics and schema names.
	TopicPrefix string
	// Source introduces a source of the log. It is required.
	Source func(changelog.SourceID) (Source, error)
	// Tables are the versions of all tables that are published, as far as the log knows them: two of one topic are found before either
	// is published, after a restart too. Without it, they are found when both have been met.
	Tables func() []*schema.Table
	// Serializer makes keys and values of DebeziumAvro and FlatAvro, which require it; others make JSON themselves.
	Serializer connect.Serializer
}

// Connector is Debezium's name of a kind of source.
type Connector string

// Connectors.
const (
	Postgres Connector = "postgresql"
	MySQL    Connector = "mysql"
	MariaDB  Connector = "mariadb"
)

// Source is what messages say about a source.
type Source struct {
	// Name is the source's name in the log, Database the name of a Postgres source's database.
	Name, Database string
	Connector      Connector
	// Place tells what a position says.
	Place func(changelog.Position) (Place, error)
}

// Place is a position, taken apart.
type Place struct {
	// LSN of a commit, of Postgres.
	LSN uint64
	// GTID is what has been handled by then, as the server writes it: a set of MySQL's, or the last of each domain of MariaDB. File
	// and Offset are where the transaction ends in the binlog.
	GTID, File string
	Offset     uint64
	ServerID   uint32
}
