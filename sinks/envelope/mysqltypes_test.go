package envelope

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"cdc/schema"
	"cdc/sinks/connect"
)

// TestMySQLTypes publishes values of a column:
//
//	column kind=float32 [precision=N] [scale=N] [mariadb] [notnull] [strict] [times=M] [decimals=M] [binary=M] [unsigned=M]
//	float(7,2)
//	12345.67
//
// prints the schema and each value, all as JsonConverter writes them. A value is the column's text; hex:… is its bytes.
func TestMySQLTypes(t *testing.T) {
	datadriven.Walk(t, "testdata/mysqltypes", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			sqlType, values, _ := strings.Cut(d.Input, "\n")
			o, typed, c := columnOf(t, d, sqlType)
			table := &schema.Table{Source: "my", Schema: "shop", Name: "types", Columns: []schema.Column{c}}
			if err := table.Prepare(); err != nil {
				return err.Error() + "\n"
			}
			compiled, err := typed(o, table, &table.Columns[0])
			if err != nil {
				return err.Error() + "\n"
			}
			out := string(connect.AppendSchemaJSON(nil, compiled.schema)) + "\n"
			for value := range strings.Lines(values) {
				out += publish(t, table, compiled, strings.TrimSuffix(value, "\n")) + "\n"
			}
			return out
		})
	})
}

// columnOf reads the arguments of a command.
func columnOf(t *testing.T, d *datadriven.TestData, sqlType string) (*Options, typer, schema.Column) {
	o, typed := &Options{}, typer(mysqlColumn)
	c := schema.Column{ID: 1, Name: "c", SQLType: sqlType}
	for _, arg := range d.CmdArgs {
		value := strings.Join(arg.Vals, ",")
		switch arg.Key {
		case "kind":
			c.Kind = kindNamed(value)
		case "precision":
			c.Precision = number(t, value)
		case "scale":
			c.Scale = number(t, value)
		case "mariadb":
			typed = mariadbColumn
		case "notnull":
			c.NotNull = true
		case "strict":
			o.Strict = true
		case "times":
			o.Times = TimeMode(value)
		case "decimals":
			o.Decimals = DecimalMode(value)
		case "binary":
			o.Binary = BinaryMode(value)
		case "unsigned":
			o.Unsigned = UnsignedMode(value)
		default:
			t.Fatalf("unknown argument %s", arg.Key)
		}
	}
	return o, typed, c
}

// kindNamed is the kind with the name, and invalid when there is none.
func kindNamed(name string) schema.Kind {
	for k := schema.Kind(1); k <= schema.CalendarTimestampTZ; k++ {
		if k.String() == name {
			return k
		}
	}
	return schema.Invalid
}

func number(t *testing.T, text string) int32 {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return int32(n)
}

// publish writes one value as JSON.
func publish(t *testing.T, table *schema.Table, c column, text string) string {
	t.Helper()
	var b schema.Builder
	b.Reset(table.Layout(), nil)
	if err := setColumn(&b, &table.Columns[0], text); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	packed, err := b.Finish()
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	row, err := table.Layout().Row(packed)
	if err != nil {
		t.Fatal(err)
	}
	var out connect.JSON
	if err := out.Begin(context.Background(), nil, "t", connect.Value, c.schema); err != nil {
		t.Fatal(err)
	}
	c.write(&out, c.schema, row, 0)
	if c.problem != nil {
		if err := c.problem(); err != nil {
			return err.Error()
		}
	}
	bytes, err := out.End()
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes)
}

func setColumn(b *schema.Builder, c *schema.Column, text string) error {
	if hexed, ok := strings.CutPrefix(text, "hex:"); ok {
		var bytes []byte
		if _, err := fmt.Sscanf(hexed, "%x", &bytes); err != nil {
			return err
		}
		b.Bytes(0, bytes)
		return nil
	}
	return schema.ParseText(b, 0, c, []byte(text))
}
