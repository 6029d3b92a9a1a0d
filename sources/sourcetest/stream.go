package sourcetest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"cdc/changelog"
)

func testExactlyOnce(s *suite) {
	w := newWriter(s, 500)
	s.Run()
	for range 3 {
		for range 20 {
			w.transaction()
		}
		s.Sync()
		w.check(s, 0)
		s.Restart()
	}
	w.transaction()
	s.Sync()
	w.check(s, 0)
}

// testOrder looks at the first transactions in detail.
func testOrder(s *suite) {
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY, v varchar(20))")
	s.Run()
	s.db.Do("BEGIN", "INSERT INTO t VALUES (1, 'a')", "SAVEPOINT s", "INSERT INTO t VALUES (2, 'lost')", "ROLLBACK TO SAVEPOINT s",
		"INSERT INTO t VALUES (3, 'c')", "UPDATE t SET v = 'b' WHERE id = 1", "DELETE FROM t WHERE id = 3", "COMMIT",
		"BEGIN", "INSERT INTO t VALUES (4, 'gone')", "ROLLBACK", "INSERT INTO t VALUES (5, NULL)")
	s.Sync()
	s.wantOutlines("c t 1 1|a", "c t 3 3|c", "u t 1 1|b", "d t 3 ", `c t 5 5|\N`)
	changes := s.streamed()
	for _, c := range changes[:4] {
		if c.Unit != changes[0].Unit || c.Meta.XID == 0 || c.Meta.CommitTime == 0 {
			s.Fatalf("%v is of unit %d, %+v; the first is of unit %d", c, c.Unit, c.Meta, changes[0].Unit)
		}
	}
	if changes[4].Unit == changes[0].Unit {
		s.Fatal("two transactions are one unit")
	}
}

// streamed are the changes that did not come with a copy.
func (s *suite) streamed() []Change {
	var all []Change
	for _, c := range s.Changes() {
		if c.Op != changelog.OpRead && c.Op != changelog.OpMessage {
			all = append(all, c)
		}
	}
	return all
}

func (s *suite) wantOutlines(want ...string) {
	s.Helper()
	var got []string
	for _, c := range s.streamed() {
		got = append(got, outline(c))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		s.Fatalf("changes:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func testSameRow(s *suite) {
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY, v varchar(20))", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
	s.Run()
	s.db.Do("BEGIN", "UPDATE t SET v = 'x' WHERE id = 1", "UPDATE t SET v = 'y' WHERE id = 1",
		"DELETE FROM t WHERE id = 2", "INSERT INTO t VALUES (2, 'again')",
		"UPDATE t SET id = 30 WHERE id = 3", "UPDATE t SET id = 3, v = 'back' WHERE id = 30",
		"INSERT INTO t VALUES (4, 'short')", "DELETE FROM t WHERE id = 4", "COMMIT")
	s.Sync()
	s.wantOutlines("u t 1 1|x", "u t 1 1|y", "d t 2 ", "c t 2 2|again", "u t 3 30|c", "u t 30 3|back", "c t 4 4|short", "d t 4 ")
	s.same("t")
}

// testInterleaved has two transactions overlap, with a restart between the first row and the commit of the longer one.
func testInterleaved(s *suite) {
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY, v varchar(20))")
	s.Run()
	long := s.driver.Session()
	long.Do("BEGIN", "INSERT INTO t VALUES (1, 'long')")
	s.db.Do("INSERT INTO t VALUES (2, 'short')")
	s.Sync()
	s.Restart()
	long.Do("INSERT INTO t VALUES (3, 'long')", "COMMIT")
	s.Sync()
	s.wantOutlines("c t 2 2|short", "c t 1 1|long", "c t 3 3|long")
}

// testCuts breaks every connection after some bytes, ever more of them, while transactions come.
func testCuts(s *suite) {
	w := newWriter(s, 50)
	s.Run()
	most, random := int64(2000), rand.New(rand.NewPCG(w.rand.Uint64(), 0)) // of the link, which calls one at a time
	s.driver.Link().CutAfter(func() int64 {
		most += most / 10
		return 100 + random.Int64N(most)
	})
	s.driver.Link().Cut()
	for range 60 {
		w.transaction()
		if w.rand.IntN(10) == 0 {
			s.driver.Link().Cut()
		}
	}
	s.driver.Link().CutAfter(nil)
	s.driver.Link().Cut()
	s.Sync()
	w.check(s, 0)
}

// testRestarts ends the capture wherever it happens to be.
func testRestarts(s *suite) {
	w := newWriter(s, 50)
	s.Run()
	for range 8 {
		for range 1 + w.rand.IntN(10) {
			w.transaction()
		}
		if place := s.Log.Bounds().Next + changelog.Offset(w.rand.IntN(8)); w.rand.IntN(3) > 0 {
			s.Eventually("some of it to be durable", func() bool { return s.Log.Bounds().Next > place })
		}
		s.Restart()
	}
	s.Sync()
	w.check(s, 0)
}

// testTicks has a source that nothing is written to.
func testTicks(s *suite) {
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY)")
	s.Run()
	ticks := func() (n int, last changelog.UnitMeta) {
		s.Units(func(u *changelog.Unit) {
			if u.Meta.Kind == changelog.UnitTick {
				n, last = n+1, u.Meta
			}
		})
		return n, last
	}
	// Where commit times are of whole seconds, two ticks a second apart may have the same when others write to the server.
	before, first := ticks()
	s.Eventually("a tick of a later moment", func() bool { n, last := ticks(); return n > before && last.Clock > first.Clock })
	if _, last := ticks(); last.Position == "" {
		s.Fatalf("the tick has no position: %+v", last)
	}
	s.Restart()
	s.db.Do("INSERT INTO t VALUES (1)")
	s.Sync()
	s.same("t")
	previous := changelog.Micros(0)
	s.Units(func(u *changelog.Unit) {
		if u.Meta.Clock != 0 && u.Meta.Clock < previous {
			s.Errorf("the clock goes back by %d at offset %d", previous-u.Meta.Clock, u.Meta.First)
		}
		previous = max(previous, u.Meta.Clock)
	})
}

// testAcks expects the last position to be acknowledged; that none was too early is looked at whenever a capture halts.
func testAcks(s *suite) {
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY)")
	s.Run()
	s.db.Do("INSERT INTO t VALUES (1)")
	s.Sync()
	s.Eventually("the acknowledgement", func() bool { return s.acks.last() != "" && s.acks.last() == s.Progress().Position })
}

func testCurrent(s *suite) {
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	s.Run()
	at := s.Progress().Position
	reached := s.Current()
	s.Reach(reached)
	if reached("") {
		s.Error("no position at all has reached the source's end")
	}
	// What is committed while nothing arrives lies behind every position of the log.
	s.Halt()
	s.db.Do("INSERT INTO t VALUES (2)")
	s.Open()
	reached = s.Current()
	if reached(at) || reached(s.Progress().Position) {
		s.Error("a commit that the log does not have is reached")
	}
	s.Halt()
	s.Start()
	s.Sync()
	s.same("t")
}

// testLarge has a transaction that is kept in no memory.
func testLarge(s *suite) {
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY, v text)")
	s.Run()
	const rows, width, together = 300, 60_000, 20
	value := strings.Repeat("x", width)
	s.db.Do("BEGIN")
	for id := 0; id < rows; id += together {
		var values []string
		for i := range together {
			values = append(values, fmt.Sprintf("(%d, '%s')", id+i, value))
		}
		s.db.Do("INSERT INTO t VALUES " + strings.Join(values, ", "))
	}
	s.db.Do("COMMIT", "DELETE FROM t WHERE id >= 290")
	s.Sync()
	sides := 0
	s.Units(func(u *changelog.Unit) {
		if _, ok := u.Side(); ok && u.Meta.Kind == changelog.UnitTx {
			sides++
			if u.Changes() != rows {
				s.Errorf("the large transaction has %d changes, want %d", u.Changes(), rows)
			}
		}
	})
	if rows*width < changelog.SpillBytes || sides != 1 {
		s.Fatalf("%d transactions beside the log, want 1", sides)
	}
	s.same("t")
}
