// Package present prints rows, footers and progress for people and for programs.
//
// There are few nouns. An Output says where output goes, in which format, and what the other end is. A Printer prints packed rows of
// one shape, a schema.Table, and holds a bounded number of them, whatever their source: a table at a moment, the answer to a query,
// or a list that a verb made up with a Record. A Progress shows how far long work is: bars on a terminal, log lines elsewhere.
//
// In the formats for programs nothing but data goes to the standard output.
package present
