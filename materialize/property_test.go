package materialize

import (
	"slices"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cdc/changelog"
	"cdc/schema"
)

// randomOptions are ways to do the same: with little memory, in small batches, in order or not.
func randomOptions(t *rapid.T) Options {
	return Options{
		MemoryBytes: rapid.SampledFrom([]int64{1, 200, 64 << 10, DefaultMemoryBytes}).Draw(t, "memory"),
		BatchRows:   rapid.SampledFrom([]int{1, 3, 1000}).Draw(t, "batch"),
		Ordered:     rapid.Bool().Draw(t, "ordered"),
	}
}

func TestG5G6TablesEqualNaiveReplayAtEveryCommit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := newMemLog()
		h := newRandomHistory(rt, newWorld(t, log, "shop", "postgres"))
		requests := h.requests()
		o := randomOptions(rt)
		got := rebuildAll(t, log, requests, o)
		for i, q := range requests {
			if o.Ordered {
				checkOrder(rt, log, q, got[i])
			}
			sort.Strings(got[i])
			if want := naive(t, log, q.Table, q.At); !slices.Equal(got[i], want) {
				rt.Fatalf("table %d at %d with %+v:\n got %q\nwant %q", q.Table, q.At, o, got[i], want)
			}
		}
		for _, r := range h.tables { // and at the end it is what the source holds
			want := make([]string, len(r.rows))
			for i, row := range r.rows {
				want[i] = show(r.table, view(r.table, pack(t, r.table, row...)))
			}
			sort.Strings(want)
			if got := naive(t, log, r.table.ID, h.commits[len(h.commits)-1]); r.logged() && !slices.Equal(got, want) {
				rt.Fatalf("the naive replay of %s is wrong:\n got %q\nwant %q", r.table.Name, got, want)
			}
		}
	})
}

// logged reports whether the newest version has reached the log.
func (r *randomTable) logged() bool { return r.w.log.Catalog().Logged(r.table.Version) }

func checkOrder(t *rapid.T, log changelog.Log, q Request, rows []string) {
	s := OrderedRows(ctxb, log, q, Options{})
	defer s.Close()
	last := ""
	for i := range rows {
		key, row, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		shape, err := Shape(log, q)
		if err != nil {
			t.Fatal(err)
		}
		if got := show(shape, row); got != rows[i] {
			t.Fatalf("row %d in order is %s with much memory and %s with little", i, got, rows[i])
		}
		if strings.Compare(last, string(key)) > 0 {
			t.Fatalf("row %d, %s, is out of order", i, rows[i])
		}
		last = string(key)
	}
}

func TestG6ProjectionAndConditionEqualFilteredRebuild(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := newMemLog()
		h := newRandomHistory(rt, newWorld(t, log, "shop", "postgres"))
		q := rapid.SampledFrom(h.requests()).Draw(rt, "request")
		shape, err := Shape(log, q)
		if err != nil {
			rt.Fatal(err)
		}
		column := rapid.IntRange(0, len(shape.Columns)-1).Draw(rt, "column")
		op := rapid.SampledFrom([]Compare{Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, IsNull, IsNotNull}).Draw(rt, "op")
		value := "3"
		if shape.Columns[column].Kind == schema.Text {
			value = "a"
		}
		var where Predicate
		if err := where.And(shape, shape.Columns[column].Name, op, value); err != nil {
			rt.Fatal(err)
		}
		o := randomOptions(rt)
		o.Ordered = true
		var want []string
		err = Tables(ctxb, log, []Request{q}, o, func(b *Batch) error {
			for i := range b.Len() {
				if where.Match(b.Table, b.Row(i)) {
					want = append(want, strings.Fields(show(b.Table, b.Row(i)))[0])
				}
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
		got := rebuild(t, log, Request{Table: q.Table, At: q.At, Columns: []string{"id"}, Where: &where}, o)
		if !slices.Equal(got, want) {
			rt.Fatalf("%s %d %q: got %q, want %q", shape.Columns[column].Name, op, value, got, want)
		}
	})
}

// keyText is what tells a row apart in a test: its key's values, or nothing.
func keyText(t *schema.Table, r schema.Row) string {
	if len(t.KeyColumns()) == 0 {
		return ""
	}
	key, _ := schema.AppendKey(nil, t, r)
	return string(key)
}

// setDifference compares the whole tables.
func setDifference(t testing.TB, log changelog.Log, id schema.TableID, from, to changelog.Offset) []string {
	as, err := Shape(log, Request{Table: id, At: to})
	if err != nil {
		t.Fatal(err)
	}
	old, out := map[string][]string{}, []string(nil)
	err = Tables(ctxb, log, []Request{{Table: id, At: from, as: as}}, Options{}, func(b *Batch) error {
		for i := range b.Len() {
			key := keyText(as, b.Row(i))
			old[key] = append(old[key], show(as, b.Row(i)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = Tables(ctxb, log, []Request{{Table: id, At: to, as: as}}, Options{}, func(b *Batch) error {
		for i := range b.Len() {
			key, row := keyText(as, b.Row(i)), show(as, b.Row(i))
			if at := slices.Index(old[key], row); at >= 0 {
				old[key] = slices.Delete(old[key], at, at+1)
			} else if key != "" && len(old[key]) == 1 {
				out = append(out, "~ "+old[key][0]+" -> "+row)
				old[key] = nil
			} else {
				out = append(out, "+ "+row)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range old {
		for _, row := range rows {
			out = append(out, "- "+row)
		}
	}
	sort.Strings(out)
	return out
}

func showDiff(d *DiffRow) string {
	switch d.Kind {
	case Added:
		return "+ " + show(d.Table, d.After)
	case Removed:
		return "- " + show(d.Table, d.Before)
	default:
		return "~ " + show(d.Table, d.Before) + " -> " + show(d.Table, d.After)
	}
}

// sameKey reports whether the table has a key, and the same one at both places; otherwise a row can differ without a touch of its
// own.
func sameKey(log changelog.Log, from, to Request) bool {
	a, _ := log.Catalog().TableAt(from.Table, from.At)
	b, _ := log.Catalog().TableAt(to.Table, to.At)
	return len(b.Table.KeyColumns()) > 0 && slices.Equal(a.Table.KeyColumns(), b.Table.KeyColumns())
}

func TestG6DiffEqualsSetDifferenceOfTwoTables(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := newMemLog()
		h := newRandomHistory(rt, newWorld(t, log, "shop", "postgres"))
		from, to := rapid.SampledFrom(h.requests()).Draw(rt, "from"), rapid.SampledFrom(h.requests()).Draw(rt, "to")
		to.Table = from.Table
		if from.At > to.At {
			from, to = to, from
		}
		if h.blind[changelog.TableCut{Table: to.Table, Offset: to.At}] || h.blind[changelog.TableCut{Table: from.Table, Offset: from.At}] {
			return
		}
		var got []string
		o := randomOptions(rt)
		err := Diff(ctxb, log, from.Table, from.At, to.At, DiffOptions{Options: o}, func(d *DiffRow) error {
			got = append(got, showDiff(d))
			if d.Kind == Modified && len(d.Columns) == 0 {
				rt.Fatalf("%s: no column differs", showDiff(d))
			}
			if d.Last.Offset <= from.At || d.Last.Offset > to.At {
				if o.MemoryBytes == DefaultMemoryBytes && sameKey(log, from, to) {
					rt.Fatalf("%s was last touched at %d, not within (%d, %d]", showDiff(d), d.Last.Offset, from.At, to.At)
				}
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
		sort.Strings(got)
		if want := setDifference(t, log, from.Table, from.At, to.At); !slices.Equal(got, want) {
			rt.Fatalf("diff of table %d from %d to %d:\n got %q\nwant %q", from.Table, from.At, to.At, got, want)
		}
	})
}

func TestG6HistoryHoldsAtEveryCommitWhatTheTableHeld(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := newMemLog()
		h := newRandomHistory(rt, newWorld(t, log, "shop", "postgres"))
		id := rapid.SampledFrom(h.tables).Draw(rt, "table").table.ID
		type kept struct {
			Version
			raw []byte
		}
		var versions []kept
		err := History(ctxb, log, id, nil, HistoryOptions{}, func(v *Version) error {
			if v.To != 0 && v.To <= v.From {
				rt.Fatalf("version from %d to %d", v.From, v.To)
			}
			versions = append(versions, kept{*v, slices.Clone(v.Row.Raw())})
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
		for _, q := range h.requests() {
			if q.Table != id {
				continue
			}
			final, _ := log.Catalog().TableAt(id, q.At)
			var got []string
			for _, v := range versions {
				if v.From > q.At || v.To != 0 && v.To <= q.At {
					continue
				}
				c := converters{to: final.Table, versions: log.Catalog()}
				raw, err := c.append(nil, uint32(v.Table.Version), v.raw)
				if err != nil {
					rt.Fatal(err)
				}
				got = append(got, show(final.Table, view(final.Table, raw)))
			}
			sort.Strings(got)
			if want := naive(t, log, id, q.At); !slices.Equal(got, want) {
				rt.Fatalf("history of table %d at %d:\n got %q\nwant %q", id, q.At, got, want)
			}
		}
	})
}
