// Package parquet writes changes to Parquet files, one folder a table: the columns of the row, and beside them what the change is.
// docs/formats/files.md describes them; package folder finishes files and knows which are finished.
//
// No value is lost to a type that cannot hold it: what does not fit is null in its column and stands as text in the column __unfit.
package parquet
