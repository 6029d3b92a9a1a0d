package present

import (
	"fmt"
	"strings"
)

// Format is a form in which rows are printed.
type Format string

// Formats.
const (
	Table   Format = "table"   // aligned columns, for people
	CSV     Format = "csv"     // RFC 4180 with a header, lines ended by LF; null is empty, empty text is ""
	JSON    Format = "json"    // one object a line, columns in their order, exact numbers
	Parquet Format = "parquet" // a Parquet file
)

// Formats are all formats in the order in which help lists them.
func Formats() []Format { return []Format{Table, CSV, JSON, Parquet} }

// ParseFormat reads the name of a format. An empty name is the default: a table on a terminal, else CSV.
func ParseFormat(name string, terminal bool) (Format, error) {
	if name == "" && terminal {
		return Table, nil
	}
	if name == "" {
		return CSV, nil
	}
	for _, f := range Formats() {
		if strings.EqualFold(name, string(f)) {
			return f, nil
		}
	}
	return "", fmt.Errorf("there is no format %q; choose table, csv, json or parquet", name)
}
