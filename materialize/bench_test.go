package materialize

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/schema"
)

// benchLog is a log on disk with so many transactions of ten updates each over so many keys of one table.
func benchLog(b *testing.B, keys, transactions int) (changelog.Log, *schema.Table, int) {
	log, err := disklog.Open(b.TempDir(), disklog.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := log.Close(); err != nil {
			b.Error(err)
		}
	})
	w := newWorld(b, log, "shop", "postgres")
	orders := w.register(ordersTable("orders", 1))
	w.state(orders, changelog.TableEmpty)
	w.commit()
	r := rand.New(rand.NewPCG(1, 1))
	var row schema.Builder
	var raw []byte
	changes := 0
	add := func(op changelog.Op, id int) {
		row.Reset(orders.Layout(), raw[:0])
		row.Int(0, int64(id))
		row.String(1, "the note of an order")
		row.Int(2, int64(r.IntN(1000)))
		if raw, err = row.Finish(); err != nil {
			b.Fatal(err)
		}
		w.unit.RowChange(op, orders, changelog.ImageNone, nil, raw, nil)
		changes++
	}
	for id := range keys {
		if add(changelog.OpCreate, id); id%1000 == 999 {
			w.commit()
		}
	}
	for range transactions {
		for range 10 {
			add(changelog.OpUpdate, r.IntN(keys))
		}
		w.commit()
	}
	if err := log.WaitDurable(ctxb, w.commit0()); err != nil {
		b.Fatal(err)
	}
	return log, orders, changes
}

// commit0 commits a message, so that there is something to wait for.
func (w *world) commit0() changelog.Offset {
	w.change("end")
	return w.commit()
}

// BenchmarkTables measures a rebuild beside a bare scan of the same log, which reads and decodes every change and keeps nothing:
// the ratio is what keeping the rows costs on top of it.
func BenchmarkTables(b *testing.B) {
	const keys, transactions = 200_000, 100_000
	log, orders, changes := benchLog(b, keys, transactions)
	at := durableEnd(log)
	scan := func() {
		o := changelog.CursorOptions{Tables: changelog.NewTableSet(orders.ID)}
		err := eachUnit(ctxb, log, o, func(u *changelog.Unit) error {
			var c changelog.Change
			for {
				ok, err := u.Next(&c)
				if !ok || err != nil {
					return err
				}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, x := range []struct {
		name string
		o    Options
	}{
		{"memory", Options{}},
		{"ordered", Options{Ordered: true}},
		{"spilled", Options{MemoryBytes: 4 << 20, SpillDir: b.TempDir()}},
	} {
		b.Run(x.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rows := 0
				err := Tables(ctxb, log, []Request{{Table: orders.ID, At: at}}, x.o, func(batch *Batch) error {
					rows += batch.Len()
					return nil
				})
				if err != nil || rows != keys {
					b.Fatalf("%d rows, %v", rows, err)
				}
			}
			perOp := float64(b.Elapsed()) / float64(b.N)
			b.StopTimer()
			begin := time.Now()
			scan()
			b.ReportMetric(float64(changes)*1e9/perOp/1e6, "Mchanges/s")
			b.ReportMetric(perOp/float64(time.Since(begin)), "x-bare-scan")
		})
	}
}

func BenchmarkRowMapPut(b *testing.B) {
	m := rowMap{}
	key := make([]byte, 8)
	row := make([]byte, 40)
	r := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		n := r.Uint32N(1_000_000)
		copy(key, fmt.Sprint(n))
		m.put(key, m.hash(key), 1, row)
	}
}
