// Package avro knows Avro schemas, and asks a registry that speaks Confluent's protocol for their ids.
//
// It does not encode values: sinks/connect does. Nothing of the library under it appears in what it exports.
//
// Sources: Avro 1.11 specification; the API reference of Confluent's schema registry, which others implement, too.
package avro
