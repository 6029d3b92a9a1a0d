// Package schema holds the vocabulary of data: types, packed rows, order-preserving keys and table versions.
//
// There are few nouns. A Table is one version of a table: its columns and its identity. A Layout says where each column of
// that version lies in a packed row. A Row is a view over the bytes of one packed row; reading a column allocates nothing.
// A Builder packs rows. A key is an order-preserving encoding of a row's identity columns.
//
// The package is a leaf: it imports nothing of this module, and nothing of any database client.
package schema
