// Package postgres reads a PostgreSQL database through a logical replication slot: first a copy of the captured tables at the
// slot's exported snapshot, then the stream of its transactions, whole and in commit order.
//
// There are few nouns. A Source is one database. A session is one connection, of one of two kinds: replication sessions speak the
// walsender's commands, ordinary ones read the catalogue and the tables. A relation is a table as the stream describes it on one
// connection, with a decoder for each column, which packs values straight from the wire into rows. A watcher looks every few
// seconds at what the stream does not tell: new, dropped and unpublished tables, and what the slot holds back.
//
// Types of the client libraries do not leave the package.
package postgres
