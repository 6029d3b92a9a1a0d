// Package sql answers SQL over captured tables as they were at any moment. It is the only importer of DuckDB.
//
// There are few nouns. Rewrite finds AS OF clauses in a text with a lexer of our own and puts generated table names in their place.
// A Session holds one DuckDB in memory, the tables loaded into it and the moment that SET cdc.as_of chose; it loads exactly the
// tables that a query reads, each as it was at its moment, and runs the query. A Worker is a child process that holds a Session:
// untrusted SQL, and a crash in DuckDB, never touch the process that captures. An answer is packed rows of the schema package, so
// that whoever prints them needs to know nothing of DuckDB.
//
// A build without cgo, or with the tag nosql, has the rewriter and the protocol, and answers ErrNoSQL to everything else.
package sql
