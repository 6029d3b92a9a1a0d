// Package envelope turns changes into messages that a reader of Debezium's topics takes for Debezium's: its names of topics, its keys,
// its envelope, its schemas. Where Debezium loses or changes a value although the type that it publishes could hold it, the value
// here is right; docs/debezium-compatibility.md lists each difference.
//
// A table version is compiled once into a list of columns, each with the schema that its values get and a function that writes them;
// after that a change costs no allocation.
package envelope
