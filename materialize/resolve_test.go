package materialize

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cdc/changelog"
)

// plainPositions are positions as the made-up sources of these tests have them.
type plainPositions struct{}

func (plainPositions) Parse(_, text string) (changelog.Position, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	return changelog.Position(binary.BigEndian.AppendUint64(nil, n)), err
}
func (plainPositions) After(_ string, p, unit changelog.Position) bool   { return unit > p }
func (plainPositions) Reached(_ string, p, unit changelog.Position) bool { return unit >= p }
func (plainPositions) Format(_ string, p changelog.Position) string {
	return strconv.FormatUint(binary.BigEndian.Uint64([]byte(p)), 10)
}

var impatient = ResolveOptions{Wait: -1, Positions: plainPositions{}}

func mustResolve(t testing.TB, log changelog.Log, m Moment) Resolved {
	t.Helper()
	r, err := Resolve(ctxb, log, m, impatient)
	if err != nil {
		t.Fatalf("resolve %s: %v", m, err)
	}
	return r
}

// change adds an insert, so that the transaction is not empty.
func (w *world) change(message string) { w.unit.Message([]byte("m"), []byte(message)) }

func TestG6TimestampHoldsNothingLaterByTheSourceClock(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := newMemLog()
		worlds := []*world{newWorld(t, log, "shop", "postgres"), newWorld(t, log, "books", "mysql")}
		base := worlds[0].clock
		type unit struct {
			source        changelog.SourceID
			commit        changelog.Offset
			stamped, tick changelog.Micros
		}
		var units []unit
		for range rapid.IntRange(1, 20).Draw(rt, "units") {
			w := rapid.SampledFrom(worlds).Draw(rt, "source")
			// Stamps go back and forth, and now and then far ahead.
			stamp := base + changelog.Micros(rapid.IntRange(0, 30).Draw(rt, "stamp"))
			if rapid.IntRange(0, 5).Draw(rt, "tick") == 0 {
				units = append(units, unit{w.source, w.tick(stamp), 0, stamp})
				continue
			}
			w.change("x")
			units = append(units, unit{w.source, w.commitAt(stamp), stamp, 0})
		}
		last := changelog.Cut{}
		for at := base - 1; at <= base+31; at++ {
			got, err := Resolve(ctxb, log, AtTime(at), impatient)
			var refused *UnanswerableError
			if errors.As(err, &refused) {
				for _, s := range log.Catalog().Sources() {
					if m, ok, _ := lastUnit(ctxb, log, s.ID, 0, durableEnd(log)); !ok || m.Clock <= at {
						return // not sealed, and refused from here on
					}
				}
				rt.Fatalf("refused at %d although sealed: %v", at-base, err)
			}
			if err != nil {
				rt.Fatal(err)
			}
			for _, w := range worlds {
				n := got.Cut.At(w.source)
				if n < last.At(w.source) {
					rt.Fatalf("a later moment gives an earlier offset: %d after %d", n, last.At(w.source))
				}
				clock := changelog.Micros(0)
				for _, u := range units {
					if u.source != w.source {
						continue
					}
					clock = max(clock, u.stamped, u.tick)
					if in := u.commit <= n; in != (clock <= at) {
						rt.Fatalf("at %d the unit at %d with clock %d: in the cut %t", at-base, u.commit, clock-base, in)
					}
					if u.commit <= n && u.stamped > at {
						rt.Fatalf("the future leaks: stamped %d, moment %d", u.stamped-base, at-base)
					}
				}
			}
			last = got.Cut
		}
	})
}

func TestG6SealedMomentDoesNotChangeWhenTheLogGrows(t *testing.T) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	base := w.clock
	w.change("a")
	first := w.commitAt(base + 10)
	if _, err := Resolve(ctxb, log, AtTime(base+10), impatient); err == nil {
		t.Fatal("a commit of the same microsecond may still come, and the moment is answered")
	}
	w.change("b")
	second := w.commitAt(base + 10) // it did come
	w.change("future")
	w.commitAt(base + 3_600_000_000) // a stamp one hour ahead
	for range 3 {
		if got := mustResolve(t, log, AtTime(base+10)).Cut.At(w.source); got != second || got == first {
			t.Fatalf("resolved to %d, want %d", got, second)
		}
		w.change("late")
		w.commitAt(base + 5) // stamped before the moment, committed after it was sealed: not in it
	}
}

func TestResolveOffsetsTagsTransactionsAndPositions(t *testing.T) {
	log := newMemLog()
	shop, books := newWorld(t, log, "shop", "postgres"), newWorld(t, log, "books", "mysql")
	shop.change("a")
	shop.change("b")
	first := shop.commit() // three offsets, of which the last is the commit
	books.change("c")
	second := books.commit()
	shop.xid = 770
	shop.change("d")
	third := shop.commit()
	shop.unit.Reset(changelog.UnitControl)
	shop.unit.AddTag(changelog.Tag{Name: "train", Offset: second})
	shop.unit.AddTag(changelog.Tag{Name: "inside", Offset: third - 1})
	end := shop.append()
	pos := func(commit, records changelog.Offset) uint64 { return uint64(commit-records+1) * 10 }
	for _, x := range []struct {
		moment string
		want   changelog.Offset
	}{
		{fmt.Sprintf("OFFSET %d", first), first},
		{fmt.Sprintf("OFFSET %d", first-1), first - 3}, // inside of a transaction: the commit before it
		{fmt.Sprintf("OFFSET %d", second+1), second},
		{"OFFSET 0", 0},
		{"TAG train", second},
		{"TAG inside", second},                     // of a transaction
		{fmt.Sprintf("OFFSET %d", third+1), third}, // inside of the unit of the tags
		{"TX 771", third},
		{"shop:TX 771", third},
		{"now", end},
		{fmt.Sprintf("LSN %d", pos(first, 3)), first},
		{fmt.Sprintf("LSN %d", pos(first, 3)+5), first},
		{fmt.Sprintf("shop:LSN %d", pos(third, 2)), third},
		{fmt.Sprintf("GTID %d", pos(second, 2)), second},
	} {
		m, err := ParseMoment(x.moment)
		if err != nil {
			t.Fatal(err)
		}
		got := mustResolve(t, log, m)
		if got.Cut.Default != x.want || got.Cut.At(books.source) != x.want {
			t.Errorf("%s is offset %d, want %d", x.moment, got.Cut.Default, x.want)
		}
	}
	known, err := plainPositions{}.Parse("postgres", fmt.Sprint(pos(first, 3)))
	if err != nil {
		t.Fatal(err)
	}
	if got := mustResolve(t, log, Moment{Kind: MomentLSN, Source: "shop", Text: "a text that is only shown", Position: known}); got.Cut.Default != first {
		t.Errorf("a known position is offset %d, want %d", got.Cut.Default, first)
	}
	got := mustResolve(t, log, AtOffset(second))
	if len(got.Sources) != 2 || got.Sources[0].Clock != shop.clock-1000 || got.Sources[0].Position != fmt.Sprint(pos(first, 3)) {
		t.Errorf("completeness %+v", got.Sources)
	}
	for moment, says := range map[string]string{
		"TX 9":         "no such transaction",
		"TX 1":         "could mean",
		"TAG trian":    "did you mean train",
		"shp:TX 771":   "did you mean shop",
		"books:LSN 1":  "mysql source",
		"LSN 1":        "before the first position",
		"LSN 99999":    "only up to",
		"OFFSET 99999": "the log ends at",
		"2100-01-01":   "by its own clock",
		"LSN x":        "invalid syntax",
	} {
		m, err := ParseMoment(moment)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Resolve(ctxb, log, m, impatient); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, which does not say %q", moment, err, says)
		}
	}
}

func TestResolveAsksForTheSourceWhenSeveralCouldBeMeant(t *testing.T) {
	log := newMemLog()
	newWorld(t, log, "shop", "postgres").commitless()
	newWorld(t, log, "crm", "postgres").commitless()
	_, err := Resolve(ctxb, log, Moment{Kind: MomentLSN, Text: "10"}, impatient)
	var e *NameError
	if !errors.As(err, &e) || len(e.Matches) != 2 || e.Matches[0] != "shop:LSN 10" {
		t.Fatalf("%v", err)
	}
}

func (w *world) commitless() {
	w.change("x")
	w.commit()
}

func TestResolveWaitsUntilTheLogHasPassedTheMoment(t *testing.T) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	w.commitless()
	moment := AtTime(w.clock + 5)
	done := make(chan error, 1)
	go func() {
		_, err := Resolve(ctxb, log, moment, ResolveOptions{Wait: time.Minute})
		done <- err
	}()
	w.tick(w.clock + 6) // an idle source's tick is enough
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctxb)
	cancel()
	if _, err := Resolve(ctx, log, AtTime(w.clock+1_000_000), ResolveOptions{Wait: time.Minute}); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled wait ends with %v", err)
	}
}

func TestResolveAgoCountsByEachSourcesClock(t *testing.T) {
	log := newMemLog()
	shop, books := newWorld(t, log, "shop", "postgres"), newWorld(t, log, "books", "mysql")
	at := func(w *world, seconds int64) changelog.Offset {
		w.change("x")
		return w.commitAt(changelog.Micros(1_700_000_000_000_000 + seconds*1_000_000))
	}
	wantShop := at(shop, 10)
	at(shop, 40)
	wantBooks := at(books, 1000)
	at(books, 1030)
	got := mustResolve(t, log, Moment{Kind: MomentAgo, Ago: 20 * time.Second})
	if got.Cut.At(shop.source) < wantShop || got.Cut.At(shop.source) >= wantShop+2 {
		t.Errorf("shop at %d, want %d", got.Cut.At(shop.source), wantShop)
	}
	if got.Sources[0].Clock != 1_700_000_010_000_000 || got.Sources[1].Clock != 1_700_001_000_000_000 {
		t.Errorf("clocks %v, %v (want %d, %d)", got.Sources[0].Clock, got.Sources[1].Clock, wantShop, wantBooks)
	}
}

func TestResolveNoTimeAgoIsTheEndAndNotSealed(t *testing.T) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	w.commitless()
	got := mustResolve(t, log, Moment{Kind: MomentAgo})
	if got.Cut.At(w.source) != durableEnd(log) || got.Sources[0].Sealed {
		t.Errorf("%+v: another commit of the same microsecond may still come", got)
	}
}

func TestResolveDoesNotWaitForSourcesThatAreNotNeeded(t *testing.T) {
	log := newMemLog()
	shop, books := newWorld(t, log, "shop", "postgres"), newWorld(t, log, "books", "mysql")
	books.commitless()
	shop.commitless()
	moment := AtTime(shop.clock)
	shop.commitless()
	if _, err := Resolve(ctxb, log, moment, impatient); err == nil {
		t.Fatal("books has not passed the moment, and it is answered")
	}
	o := impatient
	o.Sources = []string{"shop"}
	r, err := Resolve(ctxb, log, moment, o)
	if err != nil || !r.Sources[0].Sealed || r.Sources[1].Sealed {
		t.Fatalf("%+v, %v", r.Sources, err)
	}
	books.unit.Reset(changelog.UnitControl)
	books.unit.Meta.Source = books.source
	books.unit.AddDecision(changelog.Decision{Action: "drop"})
	books.append()
	if r, err = Resolve(ctxb, log, moment, impatient); err != nil || !r.Sources[1].Sealed {
		t.Fatalf("a dropped source is waited for: %+v, %v", r.Sources, err)
	}
}

func TestG6TimeBetweenTwoEpochsIsRefused(t *testing.T) {
	log := newMemLog()
	w := newWorld(t, log, "shop", "postgres")
	base := w.clock
	w.change("a")
	last := w.commitAt(base + 10)
	w.epoch++
	w.unit.Reset(changelog.UnitControl)
	w.unit.Meta.Source, w.unit.Meta.Epoch = w.source, w.epoch
	w.unit.AddSource(changelog.SourceInfo{ID: w.source, Epoch: w.epoch, Name: "shop", Kind: "postgres"})
	w.append()
	w.change("b")
	w.commitAt(base + 100)
	for _, at := range []changelog.Micros{base + 10, base + 50, base + 99} {
		_, err := Resolve(ctxb, log, AtTime(at), impatient)
		var unanswerable *UnanswerableError
		if !errors.As(err, &unanswerable) || !strings.Contains(err.Error(), "hole") {
			t.Errorf("%d µs: what was committed between the epochs is not in the log, and the answer was %v", at-base, err)
		}
	}
	if got := mustResolve(t, log, AtTime(base+9)).Cut.At(w.source); got >= last {
		t.Errorf("before the hole resolved to %d, want a commit before %d", got, last)
	}
	if got := mustResolve(t, log, AtOffset(last)).Cut.At(w.source); got != last {
		t.Errorf("the last offset of the epoch resolved to %d, want %d", got, last)
	}
}
