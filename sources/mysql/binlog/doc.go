// Package binlog reads the events of a binary log as MySQL 5.7 to 9.x and MariaDB 10.5 to 11.x send them to a replica. It neither
// connects nor decodes values: bytes come in, one event at a time, and small structs go out that point into them.
//
// There are few nouns. An Event is a header and a body, its checksum verified and cut off by Split. A Format says what the server
// that wrote the log is. Each kind of event has a struct and a function Parse… that reads it. A TableMap describes the columns of
// a table, Rows holds the images of a statement's rows, which the decoder of package value walks through, and Payload unpacks a
// compressed transaction into its events. A GTIDSet is what a MySQL server has executed, a MariaPos what a MariaDB server has. A
// Statement is what can be told of the text of a QUERY event without parsing SQL.
//
// The bytes are not trusted. Every length is checked against what is at hand; nothing is allocated for a length that the bytes
// merely claim, and what expands when it is decompressed has a named bound. No function panics, and no error holds bytes of a row.
//
// What a Parse function returns points into the event's bytes and is valid as long as those are.
package binlog
