// Package changelog is the vocabulary of the log: offsets, positions, units, changes, the catalog, and the Log that holds them.
//
// There are few nouns. A Log is a dense sequence of records. A unit is a run of records that becomes visible as one: a source's
// transaction, a copied table, or one control record (a tick, a tag, a stop …). Every record takes one Offset; the last record of
// a unit is its commit, and the unit's instant is the Offset of that commit. A Cursor reads units in order and never past the
// durable offset. The Catalog is what the control records add up to: sources, epochs, table versions, tags and stops.
//
// Whatever stands below the log is a function of a prefix of it.
package changelog
