package sourcetest

import "cdc/changelog"

// testCopyAmongChanges writes to the tables from before the first copy on, until it is complete.
func testCopyAmongChanges(s *suite) {
	w := newWriter(s, 30_000)
	s.Start()
	for range 20 {
		w.transaction()
	}
	for reached := s.Current(); !reached(s.Progress().Position); {
		w.transaction()
		select {
		case err := <-s.ended:
			s.Fatal(err)
		default:
		}
	}
	w.transaction()
	s.Sync()
	s.same(writerTables...)
}

// testRecopy has an operator ask for a table again.
func testRecopy(s *suite) {
	w := newWriter(s, 30_000)
	s.Run()
	at, _ := s.Table("a")
	s.Decide(changelog.Decision{Action: "recopy", Table: at.Table.ID})
	s.Eventually("the copy", func() bool {
		w.transaction()
		now, _ := s.Table("a")
		return now.StateSince > at.StateSince && now.Answerable()
	})
	w.transaction()
	s.Sync()
	w.check(s, 0)
	if n := s.Copies("a"); n != 2 {
		s.Errorf("table a has been copied %d times, want 2", n)
	}
	if n := s.Copies("b"); n != 1 {
		s.Errorf("table b has been copied %d times, want 1", n)
	}
}

func testTruncate(s *suite) {
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY, v varchar(20))", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
	s.Run()
	s.db.Do("INSERT INTO t VALUES (3, 'c')", "TRUNCATE TABLE t", "INSERT INTO t VALUES (1, 'again')")
	s.Sync()
	s.wantOutlines("c t 3 3|c", "t t  ", "c t 1 1|again")
	s.same("t")
}

func testMadeTable(s *suite) {
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY, v varchar(20))")
	s.Run()
	s.db.Do("CREATE TABLE late (id int PRIMARY KEY, v varchar(20))", "INSERT INTO late VALUES (1, 'a')", "INSERT INTO t VALUES (1, 'a')")
	s.Sync()
	s.same("t")
	if !s.o.TracksNewTables {
		s.Eventually("the log to say that the table is not tracked", func() bool {
			at, ok := s.Table("late")
			return ok && at.State.State == changelog.TableUntracked
		})
		at, _ := s.Table("late")
		s.Decide(changelog.Decision{Action: "recopy", Table: at.Table.ID})
		s.Eventually("the copy", func() bool { at, _ := s.Table("late"); return at.Answerable() })
	}
	s.db.Do("UPDATE late SET v = 'b'", "INSERT INTO late VALUES (2, 'b')")
	s.Sync()
	s.same("late", "t")
	s.Restart()
	s.db.Do("DELETE FROM late WHERE id = 1")
	s.Sync()
	s.same("late", "t")
}

func testDroppedTable(s *suite) {
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)", "CREATE TABLE other (id int PRIMARY KEY)")
	s.Run()
	at, _ := s.Table("t")
	s.db.Do("DROP TABLE t", "INSERT INTO other VALUES (1)")
	s.Eventually("the log to say that the table is gone", func() bool {
		now, _ := s.Log.Catalog().TableAt(at.Table.ID, Newest)
		return now.State.State == changelog.TableDropped
	})
	// One of the same name is another table.
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY, v varchar(20))", "INSERT INTO t VALUES (7, 'seven')")
	s.Sync()
	s.Eventually("the new table", func() bool {
		now, ok := s.Table("t")
		return ok && now.Table.ID != at.Table.ID
	})
	s.Restart()
	s.db.Do("INSERT INTO other VALUES (2)")
	s.Sync()
	s.same("other")
	if s.o.TracksNewTables {
		s.same("t")
	}
}

func testRenamedTable(s *suite) {
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY, v varchar(20))", "INSERT INTO t VALUES (1, 'a')")
	s.Run()
	before, _ := s.Table("t")
	s.db.Do("ALTER TABLE t RENAME TO t2", "INSERT INTO t2 VALUES (2, 'b')", "UPDATE t2 SET v = 'c' WHERE id = 1")
	s.Sync()
	after, ok := s.Table("t2")
	if !ok || after.Table.ID != before.Table.ID || !after.Answerable() {
		s.Fatalf("t2 is %+v, t was %+v", after, before)
	}
	s.same("t2")
	if n := s.Copies("t2"); n != 1 {
		s.Errorf("%d copies, want 1", n)
	}
}
