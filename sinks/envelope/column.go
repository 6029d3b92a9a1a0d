package envelope

import (
	"cdc/schema"
	"cdc/sinks/connect"
)

// column is how the values of one column are published. The zero column is one that is left out.
type column struct {
	schema *connect.Schema
	// write writes the value of column i, which is present, not null and of the table version that the column was compiled for.
	write func(out connect.Output, s *connect.Schema, r schema.Row, i int)
	// problem, when set, says why what write has been given since the last call could not be read as the column's type.
	problem func() error
}

// typer compiles one column of a table version: its values are those of a kind of source under the options.
type typer func(o *Options, t *schema.Table, c *schema.Column) (column, error)
