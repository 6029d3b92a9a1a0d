package parquet_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks"
	"cdc/sinks/folder"
	"cdc/sinks/parquet"
)

// Many tables that change a little wait in little memory: a writer is there for those only that have made a row group.
func TestManyTablesTakeLittleMemory(t *testing.T) {
	const tables, columns, changes, limit = 400, 20, 5, 48 << 20
	f := newFixture(t)
	f.begin(changelog.UnitTx)
	texts := make([]string, columns)
	for i := range texts {
		texts[i] = "hello"
	}
	made := make([]*schema.Table, tables)
	for i := range made {
		table := &schema.Table{Source: "shop", Schema: "public", Name: fmt.Sprintf("t%d", i), SourceTable: uint32(100 + i)}
		for k := range columns {
			table.Columns = append(table.Columns, schema.Column{ID: uint32(k + 1), Name: fmt.Sprintf("c%d", k), Kind: schema.Text})
		}
		f.must(table.Prepare())
		made[i] = f.log.Catalog().Register(1, table)
		f.builder.AddTable(made[i])
	}
	for range changes {
		for _, table := range made {
			f.builder.RowChange(changelog.OpCreate, table, changelog.ImageNone, nil, f.row(table, texts...), nil)
		}
	}
	f.append()
	f.must(f.log.WaitDurable(f.Context(), f.last))
	s, err := parquet.New(parquet.Options{Folder: folder.Options{Dir: f.dir}, Source: func(changelog.SourceID) string { return "shop" }})
	f.must(err)
	_, err = s.Open(f.Context(), sinks.Checkpoint{})
	f.must(err)
	base := heap()
	cursor, err := f.log.Cursor(changelog.CursorOptions{})
	f.must(err)
	for {
		u, err := cursor.Next(f.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		f.must(err)
		f.must(s.Write(f.Context(), u))
	}
	waiting := heap()
	f.must(s.Flush(f.Context()))
	after := heap()
	if waiting > base+limit || after > base+limit {
		t.Fatalf("the heap is %d bytes before, %d while changes of %d tables wait, and %d after", base, waiting, tables, after)
	}
	t.Logf("the heap is %d bytes before, %d while changes of %d tables wait, and %d after", base, waiting, tables, after)
	f.must(errors.Join(cursor.Close(), s.Close()))
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools keep for a while
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
