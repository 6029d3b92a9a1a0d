// Package value knows the types of MySQL and MariaDB: how a column is described, which schema.Column it becomes, and how its values
// are decoded, from the row images of a binlog and from the text rows of a SELECT, into packed rows. Both ways give the same bytes
// for the same value, so that a copied row and a streamed one cannot be told apart.
//
// There is one noun, the Column: what TABLE_MAP says of a column and what information_schema says of it come together there.
// Nothing in the package connects or allocates per value.
package value
