// Package logtest is the suite that every implementation of changelog.Log passes.
package logtest

import (
	"context"
	"errors"
	"io"
	"testing"

	"cdc/changelog"
)

// Open opens the log of that name for writing, and makes it on the first call. A log that was closed can be opened again.
type Open func(t *testing.T, name string) changelog.Log

// Run checks a Log.
func Run(t *testing.T, open Open) {
	tests := []struct {
		name string
		run  func(*suite)
	}{
		{"what is appended is read back, also after reopening", testReadBack},
		{"offsets are dense", testDense},
		{"the clock of a source never goes back", testClock},
		{"TestG1 nothing is read before it is durable", testDurable},
		{"a cursor begins at any offset and ends at any", testCursorBounds},
		{"a cursor keeps changes of its tables only", testFilter},
		{"TestG5 a following cursor sees whole units as they become durable", testFollow},
		{"search finds the first unit", testSearch},
		{"the catalog answers for any instant, also after reopening", testCatalog},
		{"TestG4 concurrent appenders get one order", testConcurrent},
		{"a side segment holds a large transaction", testSide},
		{"a side segment that is discarded leaves nothing", testSideDiscard},
		{"a unit that is refused leaves nothing", testRefused},
		{"a closed log refuses", testClosed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(&suite{T: t, open: open}) })
	}
}

// suite is one test of a log.
type suite struct {
	*testing.T
	open Open
	log  changelog.Log
	f    *Fixture
}

// start opens the test's log.
func (s *suite) start() {
	s.Helper()
	s.log = s.open(s.T, s.Name())
	var err error
	s.f, err = NewFixture(s.log)
	s.must(err)
	s.Cleanup(func() { _ = s.log.Close() })
}

// restart closes the log and opens it again.
func (s *suite) restart() {
	s.Helper()
	s.must(s.log.Close())
	s.start()
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// append appends transactions [from, to) of one to seven changes, waits until they are durable, and returns the instants.
func (s *suite) append(from, to uint64) []changelog.Offset {
	s.Helper()
	var commits []changelog.Offset
	for n := from; n < to; n++ {
		commit, err := s.f.Append(s.Context(), n, int(n%7)+1)
		s.must(err)
		commits = append(commits, commit)
	}
	s.must(s.log.WaitDurable(s.Context(), commits[len(commits)-1]))
	return commits
}

// read calls f with each unit that a cursor yields, and returns how many there were.
func (s *suite) read(o changelog.CursorOptions, f func(u *changelog.Unit)) int {
	s.Helper()
	c, err := s.log.Cursor(o)
	s.must(err)
	defer func() { s.must(c.Close()) }()
	for n := 0; ; n++ {
		u, err := c.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return n
		}
		s.must(err)
		f(u)
	}
}

// transactions checks each transaction in the log and returns how many there are.
func (s *suite) transactions() (n int) {
	s.Helper()
	s.read(changelog.CursorOptions{}, func(u *changelog.Unit) {
		if u.Meta.Kind == changelog.UnitTx {
			s.must(s.f.Check(u))
			n++
		}
	})
	return n
}

func testReadBack(s *suite) {
	s.start()
	s.append(0, 500)
	if n := s.transactions(); n != 500 {
		s.Fatalf("%d transactions, want 500", n)
	}
	id, bounds := s.log.ID(), s.log.Bounds()
	s.restart()
	if s.log.ID() != id || s.log.Bounds() != bounds {
		s.Fatalf("reopened as %x with %v, was %x with %v", s.log.ID(), s.log.Bounds(), id, bounds)
	}
	s.append(500, 600)
	if n := s.transactions(); n != 600 {
		s.Fatalf("%d transactions after reopening, want 600", n)
	}
}

func testDense(s *suite) {
	s.start()
	commits := s.append(0, 100)
	next := s.log.Bounds().First
	if next != 1 {
		s.Fatalf("a new log begins at offset %d", next)
	}
	i := 0
	s.read(changelog.CursorOptions{}, func(u *changelog.Unit) {
		if u.Meta.First != next {
			s.Fatalf("a unit at offset %d where %d is next", u.Meta.First, next)
		}
		next = u.Meta.Commit() + 1
		if u.Meta.Kind == changelog.UnitTx {
			if u.Meta.Commit() != commits[i] || u.Changes() != uint64(i%7)+1 {
				s.Fatalf("transaction %d: %+v, was appended at %d", i, u.Meta, commits[i])
			}
			i++
		}
	})
	if next != s.log.Bounds().Next {
		s.Fatalf("units end at offset %d, the log at %d", next, s.log.Bounds().Next)
	}
}

func testClock(s *suite) {
	s.start()
	times := []changelog.Micros{100, 50, 200, 150, 150}
	want := []changelog.Micros{100, 100, 200, 200, 200}
	for i, at := range times {
		if i == 3 {
			s.restart()
		}
		b, err := s.f.Build(uint64(i), 1)
		s.must(err)
		b.Meta.CommitTime, b.Meta.Clock = at, at
		_, err = s.log.Append(s.Context(), b)
		s.must(err)
		if b.Meta.Clock != want[i] || s.log.Catalog().Progress(s.f.Source).Clock != want[i] {
			s.Fatalf("commit time %d after %v: clock %d, want %d", at, times[:i], b.Meta.Clock, want[i])
		}
	}
}

func testDurable(s *suite) {
	s.start()
	for n := range uint64(200) {
		commit, err := s.f.Append(s.Context(), n, 3)
		s.must(err)
		bounds := s.log.Bounds()
		s.read(changelog.CursorOptions{From: max(bounds.First, commit-10)}, func(u *changelog.Unit) {
			if after := s.log.Bounds(); u.Meta.Commit() >= after.Next {
				s.Fatalf("unit at %d is read, durable is what lies before %d", u.Meta.Commit(), after.Next)
			}
		})
		s.must(s.log.WaitDurable(s.Context(), commit))
		if next := s.log.Bounds().Next; next <= commit {
			s.Fatalf("offset %d is durable, the log ends at %d", commit, next)
		}
	}
}

func testCursorBounds(s *suite) {
	s.start()
	s.append(0, 60)
	var units []changelog.UnitMeta
	s.read(changelog.CursorOptions{}, func(u *changelog.Unit) { units = append(units, u.Meta) })
	next := s.log.Bounds().Next
	for from := changelog.Offset(1); from <= next; from++ {
		for _, to := range []changelog.Offset{0, from, from + 5, next - 1} {
			var want []changelog.Offset
			for _, m := range units {
				if m.Commit() >= from && (to == 0 || m.Commit() <= to) {
					want = append(want, m.First)
				}
			}
			s.read(changelog.CursorOptions{From: from, To: to}, func(u *changelog.Unit) {
				if len(want) == 0 || u.Meta.First != want[0] {
					s.Fatalf("from %d to %d: unit at %d, want %v", from, to, u.Meta.First, want)
				}
				want = want[1:]
			})
			if len(want) > 0 {
				s.Fatalf("from %d to %d: units at %v are missing", from, to, want)
			}
		}
	}
}

func testFilter(s *suite) {
	s.start()
	s.append(0, 100)
	want, got := 0, 0
	count := func(n *int, wanted bool) func(u *changelog.Unit) {
		return func(u *changelog.Unit) {
			var c changelog.Change
			for {
				ok, err := u.Next(&c)
				s.must(err)
				if !ok {
					return
				}
				if is := c.Table.ID == s.f.Tables[1].ID; is {
					*n++
				} else if wanted {
					s.Fatalf("a change of table %s passes the filter", c.Table.Name)
				}
			}
		}
	}
	s.read(changelog.CursorOptions{}, count(&want, false))
	s.read(changelog.CursorOptions{Tables: changelog.NewTableSet(s.f.Tables[1].ID)}, count(&got, true))
	if got != want || want == 0 {
		s.Fatalf("%d changes pass the filter, want %d", got, want)
	}
	s.read(changelog.CursorOptions{Tables: changelog.NewTableSet()}, func(u *changelog.Unit) {
		var c changelog.Change
		if ok, err := u.Next(&c); ok || err != nil {
			s.Fatalf("a change passes a filter of no table: %v", err)
		}
	})
}
