package sinktest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"cdc/changelog"
	"cdc/schema"
)

// shop is a made-up source: each row counts its changes, so that per key one sees what is missing, doubled or out of order.
type shop struct {
	log    changelog.Log
	source changelog.SourceID
	tables []*schema.Table
	counts []map[int64]int64 // changes so far of each key, by table
	xid    uint64
	last   changelog.Offset

	builder changelog.UnitBuilder
	row     schema.Builder
	packed  [2][]byte
}

// keysPerTable is few, so that most keys change again and again.
const keysPerTable = 20

func newShop(l changelog.Log) (*shop, error) {
	s := &shop{log: l, source: l.Catalog().NextSource("shop")}
	b := &s.builder
	b.Reset(changelog.UnitControl)
	b.Meta.Source, b.Meta.Epoch = s.source, 1
	b.AddSource(changelog.SourceInfo{ID: s.source, Epoch: 1, Name: "shop", Kind: "postgres"})
	for i, name := range []string{"orders", "order lines"} {
		t := &schema.Table{
			Source: "shop", Schema: "public", Name: name, SourceTable: uint32(16384 + i), Identity: schema.IdentityKey,
			Columns: []schema.Column{
				{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", NotNull: true, Key: 1},
				{ID: 2, Name: "count", Kind: schema.Int64, SQLType: "bigint"},
				{ID: 3, Name: "note", Kind: schema.Text, SQLType: "text"},
			},
		}
		if err := t.Prepare(); err != nil {
			return nil, err
		}
		t = l.Catalog().Register(1, t)
		s.tables, s.counts = append(s.tables, t), append(s.counts, map[int64]int64{})
		b.AddTable(t)
		b.AddTableState(changelog.TableState{Table: t.ID, State: changelog.TableEmpty})
	}
	return s, s.append(context.Background())
}

// append appends what has been built.
func (s *shop) append(ctx context.Context) (err error) {
	s.last, err = s.log.Append(ctx, &s.builder)
	return err
}

// durable waits until all that was appended may be read.
func (s *shop) durable(ctx context.Context) error { return s.log.WaitDurable(ctx, s.last) }

func (s *shop) begin(kind changelog.UnitKind) {
	s.xid++
	s.builder.Reset(kind)
	m := &s.builder.Meta
	m.Source, m.Epoch, m.XID = s.source, 1, s.xid
	m.Position = changelog.Position(fmt.Sprintf("%016x", s.xid))
	m.CommitTime = changelog.Micros(1_700_000_000_000_000 + s.xid*1000)
	m.Clock = m.CommitTime
}

// tick appends a unit without changes.
func (s *shop) tick(ctx context.Context) error {
	s.begin(changelog.UnitTick)
	return s.append(ctx)
}

// transaction appends one of so many changes.
func (s *shop) transaction(ctx context.Context, random *rand.Rand, changes int) error {
	s.begin(changelog.UnitTx)
	for range changes {
		if err := s.change(random.IntN(len(s.tables)), int64(random.IntN(keysPerTable)), "note"); err != nil {
			return err
		}
	}
	return s.append(ctx)
}

// large appends a transaction that lies in a side segment, of rows of 1 KiB and with keys of its own.
func (s *shop) large(ctx context.Context, changes int) error {
	w, err := s.log.NewSide()
	if err != nil {
		return err
	}
	s.begin(changelog.UnitTx)
	note := strings.Repeat("large ", 170)
	const piece = 1000
	for i := range changes {
		if err := s.change(0, int64(keysPerTable+i), note); err != nil {
			return err
		}
		if n := uint64(i%piece) + 1; n == piece || i == changes-1 {
			if err := w.Write(s.builder.TakeChanges(), n); err != nil {
				return err
			}
		}
	}
	ref, err := w.Seal()
	if err != nil {
		return err
	}
	s.builder.SetSide(ref)
	return s.append(ctx)
}

// change adds the next change of a key: an insert, three updates, a delete, and again.
func (s *shop) change(table int, id int64, note string) (err error) {
	t, n := s.tables[table], s.counts[table][id]
	s.counts[table][id]++
	for i := range s.packed { // the old row and the new one
		if s.packed[i], err = s.pack(s.packed[i][:0], t, id, n-1+int64(i), note); err != nil {
			return err
		}
	}
	before, after := s.packed[0], s.packed[1]
	switch n % 5 {
	case 0:
		s.builder.RowChange(changelog.OpCreate, t, changelog.ImageNone, nil, after, nil)
	case 4:
		s.builder.RowChange(changelog.OpDelete, t, changelog.ImageFull, before, nil, nil)
	default:
		s.builder.RowChange(changelog.OpUpdate, t, changelog.ImageFull, before, after, nil)
	}
	return s.builder.Err()
}

func (s *shop) pack(dst []byte, t *schema.Table, id, n int64, note string) ([]byte, error) {
	s.row.Reset(t.Layout(), dst)
	s.row.Int(0, id)
	s.row.Int(1, n)
	s.row.String(2, note)
	return s.row.Finish()
}
