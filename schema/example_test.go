package schema_test

import (
	"fmt"

	"cdc/schema"
)

func Example() {
	table := &schema.Table{Source: "shop", Schema: "public", Name: "orders", Columns: []schema.Column{
		{ID: 1, Name: "id", Kind: schema.Int64, NotNull: true, Key: 1},
		{ID: 2, Name: "amount", Kind: schema.Decimal, Precision: 12, Scale: 2},
		{ID: 3, Name: "note", Kind: schema.Text},
	}}
	if err := table.Prepare(); err != nil {
		panic(err)
	}

	var b schema.Builder
	b.Reset(table.Layout(), nil)
	b.Int(0, 42)
	b.Variable(1, func(dst []byte) []byte { return schema.AppendDecimalInt64(dst, 990, 2) })
	b.Null(2)
	packed, err := b.Finish()
	if err != nil {
		panic(err)
	}

	row, err := table.Layout().Row(packed)
	if err != nil {
		panic(err)
	}
	for i := range table.Columns {
		fmt.Printf("%s = %s\n", table.Columns[i].Name, schema.AppendJSON(nil, &table.Columns[i], row, i))
	}
	// Output:
	// id = 42
	// amount = 9.90
	// note = null
}
