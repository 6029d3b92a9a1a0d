package main

import (
	"testing"
	"time"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/schema"
	"cdc/sources/postgres"
)

// shopLog writes a small log of a made-up shop: products are copied, then changed by several transactions; orders follow later, one
// column of them is added in between, and a table goes away.
type shopLog struct {
	t    *testing.T
	log  *disklog.Log
	unit changelog.UnitBuilder
	xid  uint64
	lsn  postgres.LSN
}

const shopSource = changelog.SourceID(1)

func newShopLog(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	log, err := disklog.Open(dir, disklog.Options{SegmentBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s := &shopLog{t: t, log: log, xid: 769, lsn: 0x16B3500}
	s.write()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (s *shopLog) write() {
	s.unit.Reset(changelog.UnitControl)
	s.unit.Meta.Source, s.unit.Meta.Epoch = shopSource, 1
	s.unit.AddSource(changelog.SourceInfo{ID: shopSource, Epoch: 1, Name: "shop", Kind: postgres.Kind})
	s.append()

	products := s.register(&schema.Table{
		Source: "shop", Schema: "public", Name: "products", SourceTable: 1, Identity: schema.IdentityKey, Columns: []schema.Column{
			{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", NotNull: true, Key: 1},
			{ID: 2, Name: "item", Kind: schema.Text, SQLType: "text"},
			{ID: 3, Name: "count", Kind: schema.Int32, SQLType: "integer"},
			{ID: 4, Name: "price", Kind: schema.Decimal, Precision: 10, Scale: 2, SQLType: "numeric(10,2)"},
		},
	})
	s.change(changelog.OpRead, products, "", "1|Shoes|5|60.00")
	s.change(changelog.OpRead, products, "", "2|Scarf|2|20.00")
	s.state(products, changelog.TableCopied, "")
	s.commit(changelog.UnitCopy, "2022-06-08T11:00:00Z")

	s.change(changelog.OpCreate, products, "", "3|Blouse|1|30.00")
	s.commit(changelog.UnitTx, "2022-06-08T11:05:04.777Z")

	s.change(changelog.OpCreate, products, "", "4|Jeans, blue|6|40.00")
	s.commit(changelog.UnitTx, "2022-06-17T03:12:16.001Z")

	orders := &schema.Table{
		Source: "shop", Schema: "public", Name: "orders", SourceTable: 2, Identity: schema.IdentityFull, Columns: []schema.Column{
			{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", NotNull: true, Key: 1},
			{ID: 2, Name: "status", Kind: schema.Text, SQLType: "text"},
		},
	}
	orders = s.register(orders)
	s.state(orders, changelog.TableEmpty, "")
	s.change(changelog.OpUpdate, products, "", "3|Blouse|1|35.00")
	s.change(changelog.OpCreate, orders, "", "1042|paid")
	s.change(changelog.OpCreate, orders, "", "1043|paid")
	s.commit(changelog.UnitTx, "2022-06-19T09:23:23.104Z")

	wider := &schema.Table{
		Source: "shop", Schema: "public", Name: "orders", SourceTable: 2, Identity: schema.IdentityFull, Columns: []schema.Column{
			orders.Columns[0], orders.Columns[1], {ID: 3, Name: "note", Kind: schema.Text, SQLType: "text"},
		},
	}
	orders = s.register(wider)
	s.change(changelog.OpUpdate, orders, `1042|paid|\N`, "1042|shipped|left at door")
	s.change(changelog.OpDelete, orders, `1043|paid|\N`, "")
	s.change(changelog.OpDelete, products, "2|-|-|-", "")
	s.commit(changelog.UnitTx, "2022-06-20T10:00:00Z")

	gone := s.register(&schema.Table{
		Source: "shop", Schema: "sales", Name: "legacy", SourceTable: 3, Identity: schema.IdentityKey,
		Columns: []schema.Column{{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", Key: 1}},
	})
	s.state(gone, changelog.TableUntracked, "it has no identity")
	s.unit.Message([]byte("app"), []byte("deployed"))
	s.commit(changelog.UnitTx, "2022-06-20T11:00:00Z")

	s.unit.Reset(changelog.UnitTick)
	s.commit(changelog.UnitTick, "2022-06-21T00:00:00Z")
}

func (s *shopLog) register(t *schema.Table) *schema.Table {
	s.t.Helper()
	if err := t.Prepare(); err != nil {
		s.t.Fatal(err)
	}
	t = s.log.Catalog().Register(1, t)
	if !s.log.Catalog().Logged(t.Version) {
		s.unit.AddTable(t)
	}
	return t
}

func (s *shopLog) state(t *schema.Table, state changelog.TableStateKind, detail string) {
	s.unit.AddTableState(changelog.TableState{Table: t.ID, State: state, Detail: detail})
}

func (s *shopLog) change(op changelog.Op, t *schema.Table, before, after string) {
	image := changelog.ImageNone
	var was, is []byte
	if before != "" {
		was = packCells(s.t, t, before)
		image = changelog.ImageFull
		if t.Identity == schema.IdentityKey {
			image = changelog.ImageKey
		}
	}
	if after != "" {
		is = packCells(s.t, t, after)
	}
	s.unit.RowChange(op, t, image, was, is, nil)
}

func (s *shopLog) commit(kind changelog.UnitKind, at string) {
	s.t.Helper()
	when, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		s.t.Fatal(err)
	}
	m := &s.unit.Meta
	m.Kind, m.Source, m.Epoch = kind, shopSource, 1
	m.CommitTime = changelog.MicrosOf(when)
	m.Clock = m.CommitTime
	if kind == changelog.UnitTx {
		s.xid++
		m.XID = s.xid
	}
	s.lsn += 0x100
	m.Position = postgres.FormatPosition(postgres.Position{Timeline: 1, Commit: s.lsn - 0x10, End: s.lsn})
	s.append()
}

func (s *shopLog) append() {
	s.t.Helper()
	n, err := s.log.Append(s.t.Context(), &s.unit)
	if err == nil {
		err = s.log.WaitDurable(s.t.Context(), n)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.unit.Reset(changelog.UnitTx)
}

// packCells packs a row of cells with | between them; \N is null, - is absent.
func packCells(t *testing.T, table *schema.Table, cells string) []byte {
	t.Helper()
	var b schema.Builder
	b.Reset(table.Layout(), nil)
	for i, cell := range splitCells(cells) {
		switch cell {
		case `\N`:
			b.Null(i)
		case "-":
		default:
			if err := schema.ParseText(&b, i, &table.Columns[i], []byte(cell)); err != nil {
				t.Fatal(err)
			}
		}
	}
	packed, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}
