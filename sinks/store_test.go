package sinks

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/changelog/vfs"
)

// stores is an empty folder for checkpoints.
func stores(t *testing.T) (*vfs.Mem, *vfs.Faulty) {
	t.Helper()
	mem := vfs.NewMem()
	if err := mem.MkdirAll("/sink"); err != nil {
		t.Fatal(err)
	}
	return mem, vfs.NewFaulty(mem)
}

func load(t *testing.T, fsys vfs.FS) Checkpoint {
	t.Helper()
	c, err := NewStore(fsys, "/sink").Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func same(a, b Checkpoint) bool { return a.Offset == b.Offset && string(a.State) == string(b.State) }

func TestStoreKeepsTheNewest(t *testing.T) {
	mem, faulty := stores(t)
	if c := load(t, mem); !same(c, Checkpoint{}) {
		t.Fatalf("an empty folder has the checkpoint %+v", c)
	}
	s := NewStore(faulty, "/sink")
	if err := s.Save(Checkpoint{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Checkpoint{{Offset: 5}, {Offset: 5, State: []byte(`{"a":[1]}`)}, {Offset: 1<<64 - 1, State: []byte(`"x"`)}, {Offset: 7}} {
		if err := s.Save(c); err != nil {
			t.Fatal(err)
		}
		writes := faulty.Count(vfs.KindChange)
		if err := s.Save(c); err != nil || faulty.Count(vfs.KindChange) != writes {
			t.Fatalf("a checkpoint that says nothing new is written again, error %v", err)
		}
		if got := load(t, mem); !same(got, c) {
			t.Fatalf("saved %+v, loaded %+v", c, got)
		}
	}
}

// Power is lost before each operation of a save: what is there is the old checkpoint or the new one.
func TestG3PowerLostWhileACheckpointIsSaved(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	mem, faulty := stores(t)
	s := NewStore(faulty, "/sink")
	older, newer := Checkpoint{Offset: 5, State: []byte(`{"n":1}`)}, Checkpoint{Offset: 9, State: []byte(`{"n":2}`)}
	if err := s.Save(older); err != nil {
		t.Fatal(err)
	}
	faulty.SetHook(func(c vfs.Call) error {
		for _, keep := range []int{0, 50, 100} {
			left := mem.Crash(random, keep)
			if got := load(t, left); !same(got, older) && !same(got, newer) {
				t.Fatalf("after power was lost before %s the checkpoint is %+v", c.Kind, got)
			}
			if err := NewStore(left, "/sink").Save(Checkpoint{Offset: 11}); err != nil {
				t.Fatal(err)
			}
			if got := load(t, left); got.Offset != 11 {
				t.Fatalf("after power was lost before %s a save is %+v", c.Kind, got)
			}
		}
		return nil
	})
	if err := s.Save(newer); err != nil {
		t.Fatal(err)
	}
	if got := load(t, mem.Crash(random, 0)); !same(got, newer) {
		t.Fatalf("a checkpoint that was saved is lost with the power: %+v", got)
	}
}

// A save that fails is made up for by the next one, of the same checkpoint too.
func TestStoreTriesAgain(t *testing.T) {
	for k := int64(0); ; k++ {
		mem, faulty := stores(t)
		faulty.Inject(vfs.Fault{After: k})
		s := NewStore(faulty, "/sink")
		err := s.Save(Checkpoint{Offset: 5})
		if err != nil && !errors.Is(err, vfs.ErrInjected) {
			t.Fatal(err)
		}
		if err := s.Save(Checkpoint{Offset: 5}); err != nil {
			t.Fatal(err)
		}
		if got := load(t, mem); got.Offset != 5 {
			t.Fatalf("operation %d failed: %+v", k, got)
		}
		if faulty.Injected() == 0 {
			return
		}
	}
}

func TestStoreThatCannotBeReadIsANamedStop(t *testing.T) {
	for _, text := range []string{"", "{", `{"offset":-1}`, `{"offset":1}x`, "\x00\x00"} {
		mem, _ := stores(t)
		if err := vfs.WriteFileAtomic(mem, "/sink", checkpointFile, []byte(text)); err != nil {
			t.Fatal(err)
		}
		_, err := NewStore(mem, "/sink").Load()
		var stop *Stop
		if !errors.As(err, &stop) || stop.Kind != changelog.StopCorrupt || !strings.Contains(err.Error(), "remove the file") {
			t.Fatalf("a checkpoint of %q: %v", text, err)
		}
	}
}

func TestStoreRefusesStateThatIsNoJSON(t *testing.T) {
	mem, _ := stores(t)
	s := NewStore(mem, "/sink")
	if err := s.Save(Checkpoint{Offset: 1, State: []byte("{")}); err == nil {
		t.Fatal("a state that is no JSON is saved")
	}
	if c := load(t, mem); c.Offset != 0 {
		t.Fatalf("a checkpoint was saved all the same: %+v", c)
	}
}

// Where a sink began is remembered by all later checkpoints, and forgotten with them.
func TestStoreRemembersWhereASinkBegan(t *testing.T) {
	mem, _ := stores(t)
	s := NewStore(mem, "/sink")
	if err := s.Begin(7); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(Checkpoint{Offset: 9, State: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	again := NewStore(mem, "/sink")
	if c, err := again.Load(); err != nil || c.Offset != 9 || again.Start() != 7 {
		t.Fatalf("loaded %+v, began at %d, %v", c, again.Start(), err)
	}
	if err := again.Save(Checkpoint{Offset: 11}); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Load(); err != nil || c.Offset != 11 || s.Start() != 7 {
		t.Fatalf("loaded %+v, began at %d, %v", c, s.Start(), err)
	}
	if err := mem.Remove("/sink/" + checkpointFile); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Load(); err != nil || c.Offset != 0 || s.Start() != 0 {
		t.Fatalf("loaded %+v, began at %d, %v", c, s.Start(), err)
	}
}
