package folder_test

import (
	"math/rand/v2"
	"testing"

	"cdc/changelog"
	"cdc/changelog/vfs"
	"cdc/sinks"
)

// units are so many that the scenario has several rounds.
const units = 24

// Before each operation that changes the disk, power is lost: what is left is opened, checked, and written to the end.
func TestG3PowerLostAnywhere(t *testing.T) {
	const streams = 3
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	mem := vfs.NewMem()
	faulty := vfs.NewFaulty(mem)
	s := newSink(t, options(faulty), streams)
	moments := 0
	faulty.SetHook(func(c vfs.Call) error {
		if c.Kind&vfs.KindChange == 0 {
			return nil
		}
		moments++
		arrived := s.Arrived()
		for _, keep := range []int{0, 50, 100} {
			left := mem.Crash(random, keep)
			checkArrived(t, left, streams, arrived.Offset)
			saved := arrived
			if moments%2 == 0 {
				saved = sinks.Checkpoint{}
			}
			again := newSink(t, options(left), streams)
			after, err := again.Open(t.Context(), saved)
			if err != nil {
				t.Fatalf("open after power was lost before %s of %s: %v", c.Kind, c.Name, err)
			}
			if n := check(t, left, streams, arrived.Offset); n != after {
				t.Fatalf("after power was lost before %s of %s: opened at %d, a reader sees offsets up to %d", c.Kind, c.Name, after, n)
			}
			if err := write(t, again, sinks.Checkpoint{}, units); err != nil {
				t.Fatal(err)
			}
			if n := check(t, left, streams, units); n != units {
				t.Fatalf("a reader sees %d offsets of %d", n, units)
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		}
		return nil
	})
	if err := write(t, s, sinks.Checkpoint{}, units); err != nil {
		t.Fatal(err)
	}
	if moments < 50 {
		t.Fatalf("power was lost at %d moments only", moments)
	}
}

// Each operation fails once, before it is done, when half of it is, and after it: the sink is opened again, and all is there once.
func TestG3EachOperationFails(t *testing.T) {
	const streams = 3
	for _, outcome := range []vfs.Outcome{vfs.FailBefore, vfs.FailHalf, vfs.FailAfter} {
		for k := int64(0); ; k++ {
			mem := vfs.NewMem()
			faulty := vfs.NewFaulty(mem)
			faulty.Inject(vfs.Fault{After: k, Outcome: outcome})
			s := newSink(t, options(faulty), streams)
			for tries := 0; ; tries++ {
				err := write(t, s, s.Arrived(), units)
				check(t, mem, streams, s.Arrived().Offset)
				if err == nil {
					break
				}
				if tries > 1 {
					t.Fatalf("operation %d failed once, the sink fails with %v", k, err)
				}
				_ = s.Close()
			}
			if n := check(t, mem, streams, units); n != units {
				t.Fatalf("operation %d failed: a reader sees %d offsets of %d", k, n, units)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if faulty.Injected() == 0 {
				break
			}
		}
	}
}

// A disk that is full is filled once, not again with each try, and what did not fit arrives when there is room.
func TestG8FullDiskWaits(t *testing.T) {
	const streams = 3
	mem := vfs.NewMem()
	faulty := vfs.NewFaulty(mem)
	s := newSink(t, options(faulty), streams)
	faulty.SetFree(10 << 10)
	if err := write(t, s, sinks.Checkpoint{}, units); !vfs.IsNoSpace(err) {
		t.Fatalf("on a full disk: %v", err)
	}
	written := faulty.Count(vfs.KindWrite)
	for range 3 {
		_ = s.Close()
		if err := write(t, s, s.Arrived(), units); err == nil {
			t.Fatal("a full disk takes everything")
		}
		check(t, mem, streams, s.Arrived().Offset)
	}
	if n := faulty.Count(vfs.KindWrite); n != written {
		t.Fatalf("%d writes to a full disk while waiting", n-written)
	}
	faulty.SetFree(vfs.Unlimited)
	_ = s.Close()
	if err := write(t, s, s.Arrived(), units); err != nil {
		t.Fatal(err)
	}
	if n := check(t, mem, streams, units); n != units {
		t.Fatalf("a reader sees %d offsets of %d", n, changelog.Offset(units))
	}
}
