package parquet_test

import (
	"bytes"
	"testing"

	pq "github.com/parquet-go/parquet-go"

	"cdc/schema"
	"cdc/sinks/parquet"
)

func TestRowsGoOnInNewRowGroups(t *testing.T) {
	const rowGroupRows = 1 << 17
	shape := &schema.Table{Columns: []schema.Column{{ID: 1, Name: "id", Kind: schema.Int64}}}
	if err := shape.Prepare(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	rows, err := parquet.NewRows(&out, shape)
	if err != nil {
		t.Fatal(err)
	}
	var b schema.Builder
	for i := range int64(rowGroupRows + 1) {
		b.Reset(shape.Layout(), nil)
		b.Int(0, i)
		packed, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		row, err := shape.Layout().Row(packed)
		if err == nil {
			err = rows.Write(row)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := pq.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if groups := len(f.RowGroups()); groups != 2 || f.NumRows() != rowGroupRows+1 {
		t.Fatalf("%d rows in %d groups", f.NumRows(), groups)
	}
}
