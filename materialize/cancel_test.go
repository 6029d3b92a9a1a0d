package materialize

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/schema"
)

// deafLog's cursors take no notice of the context, as one does not that is in the middle of a large unit.
type deafLog struct{ *memLog }

func (l deafLog) Cursor(o changelog.CursorOptions) (changelog.Cursor, error) {
	c, err := l.memLog.Cursor(o)
	return deafCursor{c}, err
}

type deafCursor struct{ changelog.Cursor }

func (c deafCursor) Next(context.Context) (*changelog.Unit, error) { return c.Cursor.Next(ctxb) }

// wideUnit is a log whose table was filled and then changed by one large transaction each.
func wideUnit(t testing.TB) (log *memLog, orders *schema.Table, filled, changed changelog.Offset) {
	const rows = 3000
	note := strings.Repeat("long ", 50) // so that a partition of a spill spills in turn
	log = newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	orders = w.register(ordersTable("orders", 1))
	w.state(orders, changelog.TableEmpty)
	for i := range rows {
		w.unit.RowChange(changelog.OpCreate, orders, changelog.ImageNone, nil, pack(t, orders, fmt.Sprint(i), note, "1"), nil)
	}
	filled = w.commit()
	for i := range rows {
		w.unit.RowChange(changelog.OpUpdate, orders, changelog.ImageNone, nil, pack(t, orders, fmt.Sprint(i), note, "2"), nil)
	}
	return log, orders, filled, w.commit()
}

func TestReadersStopInsideAUnitWhenTheContextEnds(t *testing.T) {
	wide, orders, filled, changed := wideUnit(t)
	log := deafLog{wide}
	ctx, cancel := context.WithCancel(ctxb)
	cancel()
	var none Predicate // no row is handed over, where the context is looked at too
	if err := none.And(orders, "id", Less, "0"); err != nil {
		t.Fatal(err)
	}
	request := []Request{{Table: orders.ID, At: changed, Where: &none}}
	for name, read := range map[string]func() error{
		"tables": func() error { return Tables(ctx, log, request, Options{}, func(*Batch) error { return nil }) },
		"diff": func() error {
			return Diff(ctx, log, orders.ID, filled, changed, DiffOptions{}, func(*DiffRow) error { return nil })
		},
		"history": func() error {
			return History(ctx, log, orders.ID, nil, HistoryOptions{}, func(*Version) error { return nil })
		},
		"changes": func() error { return Changes(ctx, log, ChangesOptions{}, func(*ChangeRow) error { return nil }) },
		"transaction": func() error {
			_, err := Transaction(ctx, log, changed, func(*ChangeRow) error { return nil })
			return err
		},
	} {
		if err := read(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s went on to %v", name, err)
		}
	}
}

func TestTablesStopsBetweenBatchesWhenTheContextEnds(t *testing.T) {
	log, orders, _, changed := wideUnit(t)
	for _, memory := range []int64{1, DefaultMemoryBytes} {
		for _, ordered := range []bool{false, true} {
			ctx, cancel := context.WithCancel(ctxb)
			batches := 0
			o := Options{MemoryBytes: memory, Ordered: ordered, BatchRows: 1, SpillDir: t.TempDir()}
			err := Tables(ctx, log, []Request{{Table: orders.ID, At: changed}}, o, func(*Batch) error {
				batches++
				cancel()
				return nil
			})
			if !errors.Is(err, context.Canceled) || batches != 1 {
				t.Errorf("memory %d, ordered %t: %d batches, %v", memory, ordered, batches, err)
			}
			noSpill(t, o.SpillDir)
		}
	}
}

// noSpill checks that no temporary file is left in the folder, or open without a name.
func noSpill(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open { // none where the system does not show them
		if name, err := os.Readlink(fd); err == nil && strings.HasPrefix(name, dir) {
			t.Errorf("%s is open", name)
		}
	}
}

func TestSpilledFilesAreGivenBackHoweverReadingEnds(t *testing.T) {
	log, orders, filled, changed := wideUnit(t)
	errFull := errors.New("the reader has had enough")
	for _, after := range []int{0, 1, 100, 1 << 30} {
		for _, ordered := range []bool{false, true} {
			o := Options{MemoryBytes: 1, Ordered: ordered, BatchRows: 10, SpillDir: t.TempDir()}
			n := 0
			stop := func() error {
				if n++; n > after {
					return errFull
				}
				return nil
			}
			wanted := func(err error) {
				t.Helper()
				if (after < 1<<30) != errors.Is(err, errFull) {
					t.Errorf("after %d: %v", after, err)
				}
				noSpill(t, o.SpillDir)
				n = 0
			}
			wanted(Tables(ctxb, log, []Request{{Table: orders.ID, At: filled}, {Table: orders.ID, At: changed}}, o,
				func(*Batch) error { return stop() }))
			wanted(Diff(ctxb, log, orders.ID, filled, changed, DiffOptions{Options: o}, func(*DiffRow) error { return stop() }))
			rows := OrderedRows(ctxb, log, Request{Table: orders.ID, At: changed}, o)
			for range min(after, 200) {
				if _, _, err := rows.Next(); err != nil {
					t.Fatal(err)
				}
			}
			if err := rows.Close(); err != nil {
				t.Error(err)
			}
			noSpill(t, o.SpillDir)
		}
	}
}
