package sourcetest

import (
	"errors"

	"cdc/changelog"
	"cdc/sources"
)

// testForeign points the source to a server that the log was not made from: nothing may be written, and nothing is skipped.
func testForeign(s *suite) {
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	s.Run()
	s.Halt()
	s.Open()
	next := s.Log.Bounds().Next
	s.Halt()
	s.driver.Foreign()
	s.Start()
	var stop *sources.Stop
	if err := s.End(); !errors.As(err, &stop) || !stop.Unrecorded || stop.Remedy == "" {
		s.Fatalf("ended with %v, want a stop that is not recorded", err)
	}
	if got := s.Log.Bounds().Next; got != next {
		s.Errorf("the log has gone on from %d to %d", next, got)
	}
}

// testForgotten has the server lose changes. The source stays stopped until an operator begins a new epoch.
func testForgotten(s *suite) {
	s.db.Do("CREATE TABLE t (id int PRIMARY KEY, v varchar(20))", "INSERT INTO t VALUES (1, 'a')")
	s.Run()
	s.Halt()
	s.db.Do("INSERT INTO t VALUES (2, 'lost')", "UPDATE t SET v = 'lost' WHERE id = 1")
	s.driver.Forget()
	s.Start()
	s.WantStop(changelog.StopGap, "")
	s.Restart()
	s.WantStop(changelog.StopGap, "")
	s.Decide(changelog.Decision{Action: "accept-gap"})
	s.Restart()
	s.Sync()
	s.same("t")
	info, _ := s.Log.Catalog().Source(Name)
	if info.Epoch != 2 {
		s.Errorf("epoch %d, want 2", info.Epoch)
	}
	s.db.Do("DELETE FROM t WHERE id = 1")
	s.Sync()
	s.same("t")
}
