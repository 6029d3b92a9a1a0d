package logtest

import (
	"context"
	"fmt"

	"cdc/changelog"
	"cdc/schema"
)

// Fixture writes units of a small made-up source to a log, and remembers nothing: what was written is a function of its numbers.
type Fixture struct {
	Log    changelog.Log
	Source changelog.SourceID
	Epoch  changelog.Epoch
	Tables []*schema.Table

	builder changelog.UnitBuilder
	row     schema.Builder
	packed  []byte
}

// sourceName is the name of the made-up source.
const sourceName = "shop"

// NewFixture readies a log: it finds the source and its two tables in the catalog, or adds them
// and waits until they are durable.
func NewFixture(l changelog.Log) (*Fixture, error) {
	f := &Fixture{Log: l, Epoch: 1, Source: l.Catalog().NextSource(sourceName)}
	_, known := l.Catalog().Source(sourceName)
	b := &f.builder
	b.Reset(changelog.UnitControl)
	b.Meta.Source, b.Meta.Epoch = f.Source, f.Epoch
	if !known {
		b.AddSource(changelog.SourceInfo{ID: f.Source, Epoch: f.Epoch, Name: sourceName, Kind: "postgres"})
	}
	for i := range 2 {
		t := newTable(i)
		if err := t.Prepare(); err != nil {
			return nil, err
		}
		t = l.Catalog().Register(f.Epoch, t)
		f.Tables = append(f.Tables, t)
		if !l.Catalog().Logged(t.Version) {
			b.AddTable(t)
			b.AddTableState(changelog.TableState{Table: t.ID, State: changelog.TableEmpty})
		}
	}
	if b.IsEmpty() {
		return f, nil
	}
	last, err := l.Append(context.Background(), b)
	if err != nil {
		return nil, err
	}
	return f, l.WaitDurable(context.Background(), last)
}

func newTable(i int) *schema.Table {
	return &schema.Table{
		Source: sourceName, Schema: "public", Name: fmt.Sprintf("orders_%d", i), SourceTable: uint32(16384 + i), Identity: schema.IdentityKey,
		Columns: []schema.Column{
			{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", NotNull: true, Key: 1},
			{ID: 2, Name: "note", Kind: schema.Text, SQLType: "text"},
			{ID: 3, Name: "amount", Kind: schema.Int32, SQLType: "integer"},
		},
	}
}

// Position is the made-up position of the n-th transaction.
func Position(n uint64) changelog.Position { return changelog.Position(fmt.Sprintf("%016x", n)) }

// Time is the made-up commit time of the n-th transaction.
func Time(n uint64) changelog.Micros { return changelog.Micros(1_700_000_000_000_000 + n*1000) }

// Build is the n-th transaction, of the given number of changes, the tables taking turns. It is valid until the next call.
func (f *Fixture) Build(n uint64, changes int) (*changelog.UnitBuilder, error) {
	b := &f.builder
	b.Reset(changelog.UnitTx)
	f.describe(b, n)
	for i := range changes {
		if err := f.addChange(b, n, i); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (f *Fixture) describe(b *changelog.UnitBuilder, n uint64) {
	m := &b.Meta
	m.Source, m.Epoch, m.XID = f.Source, f.Epoch, 1000+n
	m.Position, m.CommitTime, m.Clock = Position(n), Time(n), Time(n)
}

// addChange adds the i-th change of the n-th transaction: an insert, an update or a delete.
func (f *Fixture) addChange(b *changelog.UnitBuilder, n uint64, i int) error {
	t := f.Tables[(int(n)+i)%len(f.Tables)]
	var err error
	if f.packed, err = f.pack(f.packed[:0], t, n, i); err != nil {
		return err
	}
	switch (n + uint64(i)) % 3 {
	case 0:
		b.RowChange(changelog.OpCreate, t, changelog.ImageNone, nil, f.packed, nil)
	case 1:
		b.RowChange(changelog.OpUpdate, t, changelog.ImageKey, f.packed, f.packed, nil)
	default:
		b.RowChange(changelog.OpDelete, t, changelog.ImageFull, f.packed, nil, nil)
	}
	return nil
}

func (f *Fixture) pack(dst []byte, t *schema.Table, n uint64, i int) ([]byte, error) {
	f.row.Reset(t.Layout(), dst)
	f.row.Int(0, int64(n)*1000+int64(i))
	f.row.String(1, note(n, i))
	f.row.Int(2, int64(i))
	return f.row.Finish()
}

func note(n uint64, i int) string { return fmt.Sprintf("transaction %d change %d", n, i) }

// Append appends the n-th transaction.
func (f *Fixture) Append(ctx context.Context, n uint64, changes int) (changelog.Offset, error) {
	b, err := f.Build(n, changes)
	if err != nil {
		return 0, err
	}
	return f.Log.Append(ctx, b)
}

// Check reads a unit that Build made and reports where it differs.
func (f *Fixture) Check(u *changelog.Unit) error {
	n := u.Meta.XID - 1000
	if u.Meta.Kind != changelog.UnitTx || u.Meta.Source != f.Source || string(u.PositionBytes()) != string(Position(n)) || u.Meta.CommitTime != Time(n) {
		return fmt.Errorf("unit %+v at position %q is not transaction %d", u.Meta, u.PositionBytes(), n)
	}
	var c changelog.Change
	var want []byte
	for i := 0; ; i++ {
		ok, err := u.Next(&c)
		if err != nil {
			return err
		}
		if !ok {
			if uint64(i) != u.Changes() {
				return fmt.Errorf("transaction %d: %d changes, want %d", n, i, u.Changes())
			}
			return nil
		}
		t := f.Tables[(int(n)+i)%len(f.Tables)]
		if want, err = f.pack(want[:0], t, n, i); err != nil {
			return err
		}
		row := c.After
		if row.IsZero() {
			row = c.Before
		}
		if c.Table.ID != t.ID || c.Ordinal != uint64(i) || c.Offset != u.Meta.First+changelog.Offset(i) || string(row.Raw()) != string(want) {
			return fmt.Errorf("change %d of transaction %d is not as it was written: %+v", i, n, c)
		}
	}
}
