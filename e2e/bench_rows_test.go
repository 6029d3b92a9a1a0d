//go:build e2e

package e2e

import (
	"context"
	"math/rand/v2"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/schema"
)

// rowsSeed makes every run write the same rows.
const rowsSeed = 20220610

// Columns of the table that rowWriter fills.
const (
	columnID = iota
	columnCustomer
	columnAmount
	columnStatus
	columnNote
	columnPlaced
)

// rowWriter writes a made-up source into a log of its own: inserts, updates and
// deletes of one table, as a source would have sent them.
type rowWriter struct {
	dir   string
	log   *disklog.Log
	table *schema.Table
	unit  changelog.UnitBuilder
	row   schema.Builder
	buf   []byte
	rng   *rand.Rand
	live  []int64 // ids of the rows that there are
	next  int64
	units uint64
	last  changelog.Offset
	// payload, when set, is how many random bytes each note has.
	payload int
}

// openRows makes a log with the empty table in it. Full segments are sealed
// only when the measurement says so.
func openRows(b *testing.B, dir string, segmentBytes int64) *rowWriter {
	b.Helper()
	l, err := disklog.Open(dir, disklog.Options{KeepOpenForm: true, SegmentBytes: segmentBytes})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	t := &schema.Table{
		Source: "shop", Schema: "public", Name: "orders", SourceTable: 16384, Identity: schema.IdentityKey,
		Columns: []schema.Column{
			{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", NotNull: true, Key: 1},
			{ID: 2, Name: "customer", Kind: schema.Int32, SQLType: "integer", NotNull: true},
			{ID: 3, Name: "amount", Kind: schema.Int32, SQLType: "integer", NotNull: true},
			{ID: 4, Name: "status", Kind: schema.Text, SQLType: "text", NotNull: true},
			{ID: 5, Name: "note", Kind: schema.Text, SQLType: "text"},
			{ID: 6, Name: "placed", Kind: schema.TimestampTZ, SQLType: "timestamp with time zone", NotNull: true},
		},
	}
	if err := t.Prepare(); err != nil {
		b.Fatal(err)
	}
	w := &rowWriter{dir: dir, log: l, rng: rand.New(rand.NewPCG(rowsSeed, rowsSeed)), table: l.Catalog().Register(1, t)}
	w.unit.Reset(changelog.UnitControl)
	w.unit.Meta.Source, w.unit.Meta.Epoch = 1, 1
	w.unit.AddSource(changelog.SourceInfo{ID: 1, Epoch: 1, Name: "shop", Kind: "postgres"})
	w.unit.AddTable(w.table)
	w.unit.AddTableState(changelog.TableState{Table: w.table.ID, State: changelog.TableEmpty})
	if _, err := l.Append(b.Context(), &w.unit); err != nil {
		b.Fatal(err)
	}
	return w
}

// write appends transactions of so many changes each.
func (w *rowWriter) write(b *testing.B, transactions, changes int) {
	b.Helper()
	for range transactions {
		w.units++
		w.unit.Reset(changelog.UnitTx)
		m := &w.unit.Meta
		at := changelog.Micros(1_700_000_000_000_000 + w.units*1000)
		m.Source, m.Epoch, m.XID, m.CommitTime, m.Clock = 1, 1, w.units, at, at
		m.Position = changelog.Position(bigEndian(w.units))
		for range changes {
			if err := w.change(); err != nil {
				b.Fatal(err)
			}
		}
		last, err := w.log.Append(b.Context(), &w.unit)
		if err != nil {
			b.Fatal(err)
		}
		w.last = last
	}
}

func bigEndian(n uint64) []byte {
	return []byte{byte(n >> 56), byte(n >> 48), byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// change adds one: of ten, four are inserts, five updates and one a delete.
func (w *rowWriter) change() error {
	dice := w.rng.IntN(10)
	switch {
	case dice < 4 || len(w.live) == 0:
		w.next++
		w.live = append(w.live, w.next)
		return w.add(changelog.OpCreate, w.next)
	case dice < 9:
		return w.add(changelog.OpUpdate, w.live[w.rng.IntN(len(w.live))])
	}
	i := w.rng.IntN(len(w.live))
	id := w.live[i]
	w.live[i] = w.live[len(w.live)-1]
	w.live = w.live[:len(w.live)-1]
	w.row.Reset(w.table.Layout(), w.buf[:0])
	w.row.Int(columnID, id)
	key, err := w.row.Finish()
	if err != nil {
		return err
	}
	w.buf = key
	w.unit.RowChange(changelog.OpDelete, w.table, changelog.ImageKey, key, nil, nil)
	return nil
}

var rowStatuses = [...]string{"new", "paid", "packed", "shipped"}

func (w *rowWriter) add(op changelog.Op, id int64) error {
	r := &w.row
	r.Reset(w.table.Layout(), w.buf[:0])
	r.Int(columnID, id)
	r.Int(columnCustomer, int64(w.rng.IntN(50_000)))
	r.Int(columnAmount, int64(w.rng.IntN(90_000)))
	r.String(columnStatus, rowStatuses[w.rng.IntN(len(rowStatuses))])
	r.Variable(columnNote, w.note)
	r.Int(columnPlaced, int64(1_700_000_000_000_000+w.units*1000))
	packed, err := r.Finish()
	if err != nil {
		return err
	}
	w.buf = packed
	w.unit.RowChange(op, w.table, changelog.ImageNone, nil, packed, nil)
	return nil
}

// note is text with twelve random digits, or random bytes.
func (w *rowWriter) note(dst []byte) []byte {
	if w.payload > 0 {
		for n := 0; n < w.payload; n += 8 {
			dst = append(dst, bigEndian(w.rng.Uint64())...)
		}
		return dst
	}
	dst = append(dst, "gift for "...)
	for bits, i := w.rng.Uint64(), 0; i < 12; i++ {
		dst = append(dst, "0123456789abcdef"[bits&15])
		bits >>= 4
	}
	return dst
}

// durable waits until all that was written is.
func (w *rowWriter) durable(b *testing.B) {
	b.Helper()
	if err := w.log.WaitDurable(context.WithoutCancel(b.Context()), w.last); err != nil {
		b.Fatal(err)
	}
}
