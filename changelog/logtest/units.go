package logtest

import (
	"context"
	"errors"

	"cdc/changelog"
)

func testSearch(s *suite) {
	s.start()
	commits := s.append(0, 200)
	tick := changelog.UnitBuilder{}
	tick.Reset(changelog.UnitTick)
	s.f.describe(&tick, 200)
	at, err := s.log.Append(s.Context(), &tick)
	s.must(err)
	s.must(s.log.WaitDurable(s.Context(), at))
	commits = append(commits, at)
	search := func(epoch changelog.Epoch, after func(*changelog.UnitMeta) bool) changelog.Offset {
		n, err := s.log.Search(s.Context(), s.f.Source, epoch, after)
		s.must(err)
		return n
	}
	for n, want := range commits {
		byClock := search(0, func(m *changelog.UnitMeta) bool { return m.Clock >= Time(uint64(n)) })
		byPosition := search(s.f.Epoch, func(m *changelog.UnitMeta) bool { return m.Position >= Position(uint64(n)) })
		if byClock != want || byPosition != want {
			s.Fatalf("transaction %d is at %d, by clock %d, by position %d", n, want, byClock, byPosition)
		}
	}
	next := s.log.Bounds().Next
	if n := search(0, func(*changelog.UnitMeta) bool { return false }); n != next {
		s.Fatalf("search for nothing: %d, want %d", n, next)
	}
	if n := search(7, func(*changelog.UnitMeta) bool { return true }); n != next {
		s.Fatalf("search in another epoch: %d, want %d", n, next)
	}
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if _, err := s.log.Search(ctx, s.f.Source, 0, func(*changelog.UnitMeta) bool { return false }); !errors.Is(err, context.Canceled) {
		s.Fatalf("search with a cancelled context: %v", err)
	}
}

func testCatalog(s *suite) {
	s.start()
	created := s.log.Bounds().Next
	s.append(0, 50)
	b := changelog.UnitBuilder{}
	b.Reset(changelog.UnitControl)
	b.Meta.Source, b.Meta.Epoch = s.f.Source, s.f.Epoch
	b.AddTableState(changelog.TableState{Table: s.f.Tables[0].ID, State: changelog.TableDropped})
	b.AddTag(changelog.Tag{Name: "end of month", Offset: 7})
	dropped, err := s.log.Append(s.Context(), &b)
	s.must(err)
	s.append(50, 400)
	for range 2 {
		catalog := s.log.Catalog()
		if n := len(catalog.TablesAt(1)); n != 0 {
			s.Fatalf("%d tables before the first", n)
		}
		before, ok := catalog.TableAt(s.f.Tables[0].ID, dropped-1)
		if !ok || !before.Answerable() || before.KnownFrom >= created {
			s.Fatalf("table before it was dropped: %+v", before)
		}
		after, ok := catalog.TableAt(s.f.Tables[0].ID, dropped)
		if !ok || after.Answerable() || after.StateSince != dropped {
			s.Fatalf("table after it was dropped: %+v", after)
		}
		if at, ok := catalog.Tag("end of month"); !ok || at != 7 {
			s.Fatalf("tag is at %d", at)
		}
		progress := catalog.Progress(s.f.Source)
		if progress.Position != Position(399) || progress.Clock != Time(399) || progress.Commit != s.log.Bounds().Next-1 {
			s.Fatalf("progress %+v", progress)
		}
		s.restart()
	}
}

// side writes a transaction's changes to a side segment and returns its builder.
func (s *suite) side(n uint64, changes int) *changelog.UnitBuilder {
	w, err := s.log.NewSide()
	s.must(err)
	b, err := s.f.Build(n, 0)
	s.must(err)
	for i := range changes {
		s.must(s.f.addChange(b, n, i))
		if i%1000 == 999 {
			s.must(w.Write(b.TakeChanges(), 1000))
		}
	}
	s.must(w.Write(b.TakeChanges(), uint64(changes%1000)))
	ref, err := w.Seal()
	s.must(err)
	b.SetSide(ref)
	return b
}

func testSide(s *suite) {
	s.start()
	s.append(0, 3)
	const changes = 30_500
	commit, err := s.log.Append(s.Context(), s.side(3, changes))
	s.must(err)
	s.append(4, 100)
	for range 2 {
		seen := uint64(0)
		s.read(changelog.CursorOptions{}, func(u *changelog.Unit) {
			if u.Meta.Kind == changelog.UnitTx {
				s.must(s.f.Check(u))
				seen += u.Changes()
			}
			if _, isSide := u.Side(); isSide != (u.Meta.Commit() == commit) {
				s.Fatalf("unit at %d: its changes lie aside: %t", u.Meta.Commit(), isSide)
			}
		})
		if seen < changes {
			s.Fatalf("%d changes", seen)
		}
		filtered := 0
		s.read(changelog.CursorOptions{From: commit, To: commit, Tables: changelog.NewTableSet(s.f.Tables[0].ID)}, func(u *changelog.Unit) {
			for c := (changelog.Change{}); ; filtered++ {
				ok, err := u.Next(&c)
				s.must(err)
				if !ok {
					return
				}
			}
		})
		if filtered != changes/2 {
			s.Fatalf("%d changes of one table, want %d", filtered, changes/2)
		}
		s.restart()
	}
}

func testSideDiscard(s *suite) {
	s.start()
	w, err := s.log.NewSide()
	s.must(err)
	s.must(w.Write([]byte("half a transaction"), 1))
	s.must(w.Discard())
	sealed, err := s.log.NewSide()
	s.must(err)
	_, err = sealed.Seal()
	s.must(err)
	s.must(sealed.Discard())
	s.append(0, 10)
	s.restart()
	if n := s.transactions(); n != 10 {
		s.Fatalf("%d transactions, want 10", n)
	}
}

func testRefused(s *suite) {
	s.start()
	next := s.log.Bounds().Next
	empty := changelog.UnitBuilder{}
	empty.Reset(changelog.UnitControl)
	if _, err := s.log.Append(s.Context(), &empty); err == nil {
		s.Fatal("an empty control unit is appended")
	}
	stranger := changelog.UnitBuilder{}
	stranger.Reset(changelog.UnitControl)
	stranger.AddTag(changelog.Tag{Name: "never", Offset: 1})
	stranger.AddSource(changelog.SourceInfo{ID: 99, Name: "stranger"})
	if _, err := s.log.Append(s.Context(), &stranger); err == nil {
		s.Fatal("a source out of order is appended")
	}
	if _, ok := s.log.Catalog().Tag("never"); ok {
		s.Fatal("a unit that was refused is in the catalog")
	}
	long, err := s.f.Build(0, 1)
	s.must(err)
	long.Meta.Position = changelog.Position(make([]byte, changelog.MaxPositionBytes+1))
	if _, err := s.log.Append(s.Context(), long); err == nil {
		s.Fatal("a position that is too long is appended")
	}
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if _, err := s.f.Append(ctx, 0, 1); !errors.Is(err, context.Canceled) {
		s.Fatalf("append with a cancelled context: %v", err)
	}
	commit, err := s.f.Append(s.Context(), 0, 1)
	s.must(err)
	if commit != next+1 {
		s.Fatalf("the next transaction is at %d, want %d", commit, next+1)
	}
	s.must(s.log.WaitDurable(s.Context(), commit))
	s.restart()
}

func testClosed(s *suite) {
	s.start()
	s.append(0, 5)
	c, err := s.log.Cursor(changelog.CursorOptions{From: s.log.Bounds().Next, Follow: true})
	s.must(err)
	waiting := make(chan error, 1)
	go func() {
		_, err := c.Next(context.Background())
		waiting <- err
	}()
	s.must(s.log.Close())
	if err := <-waiting; !errors.Is(err, changelog.ErrClosed) {
		s.Fatalf("a cursor of a closed log ends with %v", err)
	}
	s.must(c.Close())
	if _, err := s.f.Append(s.Context(), 5, 1); !errors.Is(err, changelog.ErrClosed) {
		s.Fatalf("append to a closed log: %v", err)
	}
	if _, err := s.log.NewSide(); !errors.Is(err, changelog.ErrClosed) {
		s.Fatalf("side segment of a closed log: %v", err)
	}
	if err := s.log.WaitDurable(context.Background(), s.log.Bounds().Next); !errors.Is(err, changelog.ErrClosed) {
		s.Fatalf("wait on a closed log: %v", err)
	}
	s.must(s.log.Close())
}
