package present

import (
	"errors"
	"fmt"
	"strings"

	"cdc/schema"
	"cdc/sinks/parquet"
)

// parquetPrinter writes a Parquet file.
type parquetPrinter struct{ *parquet.Rows }

// Print implements Printer.
func (p parquetPrinter) Print(r schema.Row, _ ...int) error {
	err := p.Write(r)
	var unfit *parquet.UnfitError
	if errors.As(err, &unfit) {
		name := strings.TrimPrefix(unfit.Column.Kind.String(), "calendar") // Parquet has one kind of dates
		return fmt.Errorf("write Parquet: column %q holds %s, which a Parquet %s cannot; leave the column out, cast it to text with 'cdc sql', or use --format csv or json",
			unfit.Column.Name, unfit.Text, name)
	}
	return err
}
