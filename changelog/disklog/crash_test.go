package disklog_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/logtest"
	"cdc/changelog/vfs"
)

// The tests in this file lose power again and again and look at what is left: what was durable is there, whole and in order, and
// what was not is there as a whole or not at all.

const (
	crashFolder  = "/data"
	crashSegment = 4 << 10 // small, so that files begin, fill and are sealed all the time
)

// checkRecovered opens what a power loss left, compares it with what was written, and appends to it.
func checkRecovered(fs vfs.FS, durable changelog.Offset) error {
	l, err := disklog.Open(crashFolder, disklog.Options{FS: fs, SegmentBytes: crashSegment, KeepOpenForm: true})
	if err != nil {
		return fmt.Errorf("reopen: %w", err)
	}
	defer func() { _ = l.Close() }()
	if next := l.Bounds().Next; next < durable {
		return fmt.Errorf("offsets up to %d are left, up to %d were durable", next-1, durable-1)
	}
	f, err := logtest.NewFixture(l)
	if err != nil {
		return err
	}
	n, err := countTransactions(l, f)
	if err != nil {
		return err
	}
	last, err := f.Append(context.Background(), n, 2)
	if err != nil {
		return fmt.Errorf("append after recovery: %w", err)
	}
	if err := l.WaitDurable(context.Background(), last); err != nil {
		return fmt.Errorf("append after recovery: %w", err)
	}
	return l.Close()
}

// countTransactions reads the whole log and checks that it holds transactions 0, 1, 2 … in full.
func countTransactions(l changelog.Log, f *logtest.Fixture) (n uint64, err error) {
	c, err := l.Cursor(changelog.CursorOptions{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	at := l.Bounds().First
	for {
		u, err := c.Next(context.Background())
		if errors.Is(err, io.EOF) {
			if at != l.Bounds().Next {
				return n, fmt.Errorf("read up to offset %d, log ends at %d", at, l.Bounds().Next)
			}
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if u.Meta.First != at {
			return n, fmt.Errorf("unit at offset %d, want %d", u.Meta.First, at)
		}
		at += changelog.Offset(u.Meta.Count)
		if u.Meta.Kind != changelog.UnitTx {
			continue
		}
		if u.Meta.XID != 1000+n {
			return n, fmt.Errorf("transaction %d at offset %d, want %d", u.Meta.XID-1000, u.Meta.First, n)
		}
		if err := f.Check(u); err != nil {
			return n, err
		}
		n++
	}
}

// powerLosses counts what TestG1PowerLoss has looked at.
const powerLosses = 10_000

func TestG1PowerLossKeepsWhatWasDurable(t *testing.T) {
	losses := 0
	for seed := uint64(0); losses < powerLosses; seed++ {
		losses += losePower(t, seed)
		if t.Failed() {
			t.Fatalf("seed %d, after %d power losses", seed, losses)
		}
	}
	t.Logf("%d power losses", losses)
}

// losePower runs one history and takes the power away at every operation of it that changes the disk.
func losePower(t *testing.T, seed uint64) (losses int) {
	rng := rand.New(rand.NewPCG(seed, 7))
	mem := vfs.NewMem()
	fs := vfs.NewFaulty(mem)
	var mu sync.Mutex // guards losses, rng in the hook, and l
	var l *disklog.Log
	crashes := rand.New(rand.NewPCG(seed, 8))
	fs.SetHook(func(c vfs.Call) error {
		if c.Kind&vfs.KindChange == 0 {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		durable := changelog.Offset(1)
		if l != nil {
			durable = l.Bounds().Next
		}
		if l == nil && c.Kind != vfs.KindSync {
			return nil // opening is taken apart by the test below
		}
		losses++
		left := mem.Crash(crashes, []int{0, 30, 70, 100}[crashes.IntN(4)])
		if err := checkRecovered(left, durable); err != nil && !t.Failed() {
			t.Errorf("power loss before %s of %s: %v", c.Kind, c.Name, err)
		}
		return nil
	})
	opened, err := disklog.Open(crashFolder, disklog.Options{FS: fs, SegmentBytes: crashSegment})
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	l = opened
	mu.Unlock()
	f, err := logtest.NewFixture(opened)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(40) {
		last, err := f.Append(t.Context(), n, 1+rng.IntN(12))
		if err != nil {
			t.Fatal(err)
		}
		if rng.IntN(3) == 0 {
			if err := opened.WaitDurable(t.Context(), last); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	fs.Clear()
	if err := checkRecovered(mem.Crash(rng, 0), opened.Bounds().Next); err != nil {
		t.Errorf("power loss after a clean end: %v", err)
	}
	return losses
}

// Opening what a crash left changes the folder, and the power may be lost again at each step of that.
func TestG1PowerLossWhileOpeningKeepsWhatWasDurable(t *testing.T) {
	losses := 0
	for seed := range uint64(60) {
		rng := newRand(seed)
		mem := vfs.NewMem()
		l := openMem(t, mem, disklog.Options{SegmentBytes: crashSegment, KeepOpenForm: seed%2 == 0})
		f := fill(t, l, 0, 1+seed)
		durable := l.Bounds().Next
		left := mem
		for n := 1 + seed; n < 5+seed; n++ { // what is being written when the power goes
			_, err := f.Append(t.Context(), n, 3)
			must(t, err)
			left = mem.Crash(rng, 60)
		}
		fs := vfs.NewFaulty(left)
		fs.SetHook(func(c vfs.Call) error {
			if c.Kind&vfs.KindChange != 0 {
				losses++
				if err := checkRecovered(left.Crash(rng, []int{0, 30, 70, 100}[rng.IntN(4)]), durable); err != nil {
					t.Errorf("seed %d: power loss before %s of %s: %v", seed, c.Kind, c.Name, err)
				}
			}
			return nil
		})
		opened, err := disklog.Open(crashFolder, disklog.Options{FS: fs, SegmentBytes: crashSegment, KeepOpenForm: true})
		must(t, err)
		fs.Clear()
		must(t, opened.Close())
	}
	if losses < 500 {
		t.Errorf("only %d power losses", losses)
	}
}
