package logtest

import (
	"context"
	"errors"
	"sync"

	"cdc/changelog"
)

func testFollow(s *suite) {
	s.start()
	const transactions = 300
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	c, err := s.log.Cursor(changelog.CursorOptions{Follow: true})
	s.must(err)
	done := make(chan error, 1)
	go func() { done <- s.follow(ctx, c, transactions) }()
	s.append(0, transactions)
	s.must(<-done)
	ended := make(chan error, 1)
	go func() {
		_, err := c.Next(ctx)
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		s.Fatalf("a waiting cursor ends with %v", err)
	}
	s.must(c.Close())
}

// follow reads transactions until it has seen that many, and checks each.
func (s *suite) follow(ctx context.Context, c changelog.Cursor, transactions int) error {
	check := Fixture{Tables: s.f.Tables, Source: s.f.Source}
	for seen := 0; seen < transactions; {
		u, err := c.Next(ctx)
		if err != nil {
			return err
		}
		if u.Meta.Commit() >= s.log.Bounds().Next {
			return errors.New("a unit is read that is not durable")
		}
		if u.Meta.Kind != changelog.UnitTx {
			continue
		}
		if err := check.Check(u); err != nil {
			return err
		}
		seen++
	}
	return nil
}

func testConcurrent(s *suite) {
	s.start()
	const writers, each = 4, 100
	var wait sync.WaitGroup
	problems := make(chan error, writers)
	for w := range uint64(writers) {
		wait.Go(func() { problems <- s.writeAlone(w*each, (w+1)*each) })
	}
	wait.Wait()
	for range writers {
		s.must(<-problems)
	}
	last := make([]uint64, writers)
	next, seen := changelog.Offset(1), 0
	s.read(changelog.CursorOptions{}, func(u *changelog.Unit) {
		if u.Meta.First != next {
			s.Fatalf("a unit at offset %d where %d is next", u.Meta.First, next)
		}
		next = u.Meta.Commit() + 1
		if u.Meta.Kind != changelog.UnitTx {
			return
		}
		s.must(s.f.Check(u))
		n := u.Meta.XID - 1000
		if w := n / each; n%each != last[w] {
			s.Fatalf("writer %d: transaction %d where %d is next", w, n%each, last[w])
		}
		last[n/each]++
		seen++
	})
	if seen != writers*each {
		s.Fatalf("%d transactions, want %d", seen, writers*each)
	}
}

// writeAlone appends transactions with a builder of its own.
func (s *suite) writeAlone(from, to uint64) error {
	f, err := NewFixture(s.log)
	if err != nil {
		return err
	}
	for n := from; n < to; n++ {
		commit, err := f.Append(s.Context(), n, 2)
		if err != nil {
			return err
		}
		if n%10 == 0 {
			if err := s.log.WaitDurable(s.Context(), commit); err != nil {
				return err
			}
		}
	}
	return s.log.WaitDurable(s.Context(), s.log.Catalog().Progress(f.Source).Commit)
}
