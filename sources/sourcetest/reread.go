package sourcetest

import (
	"strings"

	"cdc/changelog"
)

// asked has rows of a table read again, and gives the reread as the log has it by now.
func (s *suite) asked(table, predicate string) func() changelog.RereadRecord {
	s.Helper()
	at, ok := s.Table(table)
	if !ok {
		s.Fatalf("the log does not know table %s", table)
	}
	s.Decide(changelog.Decision{Action: changelog.ActionReread, Table: at.Table.ID, Detail: predicate})
	n := len(s.Log.Catalog().Rereads()) - 1
	return func() changelog.RereadRecord { return s.Log.Catalog().Rereads()[n] }
}

// settled waits until a reread is over, and expects a reason that contains why, or its completion when that is empty.
func (s *suite) settled(reread func() changelog.RereadRecord, why string) {
	s.Helper()
	s.Eventually("the reread to be over", func() bool { return reread().Last.Stage.Over() })
	r := reread()
	if complete := r.Last.Stage == changelog.RereadComplete; complete != (why == "") || !strings.Contains(r.Last.Detail, why) {
		s.Fatalf("rows that match %q: stage %d, %q, want %q", r.Asked.Detail, r.Last.Stage, r.Last.Detail, why)
	}
}

// readOnce counts the rows of the table that came after the offset with op r, each key once.
func (s *suite) readOnce(table string, after changelog.Offset) int {
	s.Helper()
	seen := map[string]bool{}
	for _, c := range s.Changes() {
		if c.Table != table || c.Op != changelog.OpRead || c.Meta.Commit() < after {
			continue
		}
		key, _, _ := strings.Cut(c.After, "|")
		if seen[key] {
			s.Errorf("row %s of table %s was read twice", key, table)
		}
		seen[key] = true
	}
	return len(seen)
}

// testReread reads some rows again while all change, some so that they match no longer, and while connections break.
func testReread(s *suite) {
	w := newWriter(s, 30_000)
	s.Run()
	before, _ := s.Table("a")
	reread := s.asked("a", "id % 3 = 0 AND (v IS NULL OR v <> 'it''s ) none')")
	transactions := 0
	s.Eventually("the rows to be read again", func() bool {
		w.transaction()
		if transactions++; transactions%20 == 0 && transactions <= 100 {
			s.driver.Link().Cut()
		}
		if at, _ := s.Table("a"); !at.Answerable() || at.StateSince != before.StateSince {
			s.Fatalf("the table is in state %+v while rows are read again", at)
		}
		return reread().Last.Stage.Over()
	})
	s.settled(reread, "")
	w.transaction()
	s.Sync()
	w.check(s, 0)
	if n := s.readOnce("a", reread().Asked.Offset); n < 8_000 || n > 12_000 {
		s.Errorf("%d rows of about 10,000 were read again", n)
	}
	if n := s.readOnce("b", reread().Asked.Offset); n != 0 {
		s.Errorf("%d rows of another table were read again", n)
	}
	s.Restart()
	s.Sync()
	s.same(writerTables...)
}

// testRereadRefused asks for what cannot be read. Each is ended with its reason, and the source goes on as if nothing had been.
func testRereadRefused(s *suite) {
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY, v varchar(20))", "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
		"CREATE TABLE keyless (v varchar(20))")
	s.db.Do(s.o.Keyless...)
	s.db.Do("INSERT INTO keyless VALUES ('a'), ('a')")
	s.Run()
	for predicate, why := range map[string]string{
		"no_such_column = 1": "no_such_column", "id =": "refuses the predicate", "no_such_function(id)": "refuses the predicate",
		"id = (SELECT 1 UNION SELECT 2)": "refuses the predicate", "id = 1 ORDER BY id": "refuses the predicate",
		"id = 1) OR (id = 2": "has not opened", "id = 1 -- ": "comment", "id = 1; DELETE FROM t": "outside quotes",
	} {
		s.settled(s.asked("t", predicate), why)
	}
	s.settled(s.asked("keyless", "v = 'a'"), "cannot be told apart")
	s.db.Do("INSERT INTO t VALUES (3, 'c')")
	s.settled(s.asked("t", "id > 1"), "")
	s.Sync()
	s.same("t")
	if n := s.readOnce("t", s.Log.Catalog().Rereads()[0].Asked.Offset); n != 2 {
		s.Errorf("%d rows were read again", n)
	}
	s.Restart()
	s.db.Do("DELETE FROM t WHERE id = 2")
	s.Sync()
	s.same("t")
}
