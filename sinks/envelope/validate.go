package envelope

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Validate joins all problems of the options.
func (o *Options) Validate() error {
	err := errors.Join(
		choice("format", o.Format, DebeziumJSON, DebeziumAvro, FlatJSON, FlatAvro, Native),
		choice("decimals", o.Decimals, DecimalPrecise, DecimalString, DecimalDouble),
		choice("times", o.Times, TimeAdaptive, TimeAdaptiveTime, TimeConnect, TimeISO),
		choice("binary", o.Binary, BinaryBytes, BinaryBase64, BinaryURL, BinaryHex),
		choice("unsigned", o.Unsigned, UnsignedLong, UnsignedPrecise),
	)
	switch {
	case o.avro() && o.Schemas:
		err = errors.Join(err, errors.New("schemas in messages are of JSON only; Avro has them in its registry"))
	case o.flat() && o.Truncates:
		err = errors.Join(err, fmt.Errorf("format %s has rows only; a truncate cannot be told", o.Format))
	case o.Format == Native && o.Schemas:
		err = errors.Join(err, errors.New("format native has no schemas"))
	case o.avro() && o.Serializer == nil:
		err = errors.Join(err, fmt.Errorf("format %s needs a schema registry", o.Format))
	}
	if o.Source == nil {
		err = errors.Join(err, errors.New("no function that introduces sources"))
	}
	return err
}

// avro reports whether messages are in Avro.
func (o *Options) avro() bool { return o.Format == DebeziumAvro || o.Format == FlatAvro }

// flat reports whether messages are rows alone.
func (o *Options) flat() bool { return o.Format == FlatJSON || o.Format == FlatAvro }

// choice reports a value that is none of the names, with the nearest of them. The empty value is the default.
func choice[T ~string](what string, v T, names ...T) error {
	if v == "" || slices.Contains(names, v) {
		return nil
	}
	all := make([]string, len(names))
	nearest, least := names[0], 1<<30
	for i, name := range names {
		all[i] = string(name)
		if d := distance(strings.ToLower(string(v)), string(name)); d < least {
			nearest, least = name, d
		}
	}
	return fmt.Errorf("%s cannot be %q; did you mean %q? There are %s", what, string(v), string(nearest), strings.Join(all, ", "))
}

// distance is the number of letters to insert, remove or replace to get from one name to the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
