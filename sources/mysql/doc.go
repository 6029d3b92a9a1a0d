// Package mysql reads a MySQL or MariaDB server through its binlog: a copy of the captured tables in chunks while they go on being
// written, and the stream of transactions, whole and in commit order, by GTID where the server has them, else by file and position.
//
// There are few nouns. A Source is one server. A session is one connection of the ordinary kind; a feed is one that the server
// sends its binlog on. A relation is a table as the binlog describes it at one place, with a decoder that packs row images straight
// from the event. A viewer opens views of the tables of which it is known what they hold: for a chunk of a copy everything that the log
// has, for a verification what the binlog has up to one place. What events and values look like is known to the packages binlog and value below.
//
// Types of the client library do not leave the package.
package mysql
