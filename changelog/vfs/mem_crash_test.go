package vfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"cdc/changelog/vfs"

	"pgregory.net/rapid"
)

const (
	testPage   = 4096
	testSector = 512
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// contentModel knows every value that each byte, and the size, may have after
// a power loss.
type contentModel struct {
	now     []byte
	sizes   map[int64]bool
	allowed []map[byte]bool // by offset; past the end only zero
}

func newContentModel() *contentModel {
	return &contentModel{sizes: map[int64]bool{0: true}}
}

func (m *contentModel) allow(off int, values ...byte) {
	for len(m.allowed) <= off {
		m.allowed = append(m.allowed, map[byte]bool{0: true})
	}
	for _, v := range values {
		m.allowed[off][v] = true
	}
}

func (m *contentModel) resize(size int) {
	for i := size; i < len(m.now); i++ {
		m.allow(i, 0)
	}
	m.now = append(m.now[:min(size, len(m.now))], make([]byte, max(0, size-len(m.now)))...)
	m.sizes[int64(size)] = true
}

func (m *contentModel) write(b []byte, off int) {
	if off+len(b) > len(m.now) {
		m.resize(off + len(b))
	}
	copy(m.now[off:], b)
	for i, v := range b {
		m.allow(off+i, v, 0)
	}
}

func (m *contentModel) sync() {
	m.sizes = map[int64]bool{int64(len(m.now)): true}
	m.allowed = nil
	for i, v := range m.now {
		m.allow(i, v)
		if v != 0 {
			delete(m.allowed[i], 0)
		}
	}
}

func (m *contentModel) check(t *rapid.T, got []byte) {
	if !m.sizes[int64(len(got))] {
		t.Fatalf("size %d was never set since the last Sync: %v", len(got), m.sizes)
	}
	for i, v := range got {
		if i < len(m.allowed) && !m.allowed[i][v] || i >= len(m.allowed) && v != 0 {
			t.Fatalf("byte %d is %d, which nobody wrote there since the last Sync", i, v)
		}
	}
}

func TestCrashKeepsSyncedBytesAndInventsNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem, model := vfs.NewMem(), newContentModel()
		f := must(mem.Create("a"))(t)
		noErr(t, mem.SyncDir("/"))
		synced := []byte{}
		next := byte(0)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"write", "write", "write", "truncate", "preallocate", "sync", "crash"}).Draw(t, "step") {
			case "write":
				next++
				data := bytes.Repeat([]byte{next}, rapid.IntRange(0, 3*testPage).Draw(t, "bytes"))
				off := rapid.IntRange(0, 4*testPage).Draw(t, "offset")
				must(f.WriteAt(data, int64(off)))(t)
				if len(data) > 0 {
					model.write(data, off)
				}
			case "truncate":
				size := rapid.IntRange(0, 5*testPage).Draw(t, "size")
				noErr(t, f.Truncate(int64(size)))
				model.resize(size)
			case "preallocate":
				size := rapid.IntRange(0, 5*testPage).Draw(t, "size")
				noErr(t, f.Preallocate(int64(size)))
				model.resize(max(size, len(model.now)))
			case "sync":
				noErr(t, f.Sync())
				model.sync()
				synced = bytes.Clone(model.now)
			case "crash":
				rng := newRand(rapid.Uint64().Draw(t, "seed"))
				percent := rapid.IntRange(0, 100).Draw(t, "keep")
				model.check(t, []byte(get(t, mem.Crash(rng, percent), "a")))
			}
			if got := get(t, mem, "a"); got != string(model.now) {
				t.Fatal("the live file differs from what was written")
			}
			if got := get(t, mem.Crash(newRand(0), 0), "a"); got != string(synced) {
				t.Fatal("with nothing kept, the file differs from what was synced")
			}
			if got := get(t, mem.Crash(newRand(0), 100), "a"); got != string(model.now) {
				t.Fatal("with everything kept, the file differs from what was written")
			}
		}
	})
}

// TestCrashTearsOnlyBetweenSectors overwrites synced bytes once and finds each
// sector old, new or, where the write was, zero.
func TestCrashTearsOnlyBetweenSectors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := vfs.NewMem()
		old := bytes.Repeat([]byte{1}, 4*testPage)
		put(t, mem, "a", string(old))
		noErr(t, mem.SyncDir("/"))
		off := rapid.IntRange(0, 2*testPage).Draw(t, "offset")
		n := rapid.IntRange(1, 2*testPage).Draw(t, "bytes")
		f := must(mem.OpenReadWrite("a"))(t)
		must(f.WriteAt(bytes.Repeat([]byte{2}, n), int64(off)))(t)
		written := []byte(get(t, mem, "a"))
		zeroed := bytes.Clone(old)
		clear(zeroed[off : off+n])
		got := []byte(get(t, mem.Crash(newRand(rapid.Uint64().Draw(t, "seed")), 30), "a"))
		for s := 0; s < len(got); s += testSector {
			sector := got[s : s+testSector]
			if !bytes.Equal(sector, old[s:s+testSector]) && !bytes.Equal(sector, written[s:s+testSector]) &&
				!bytes.Equal(sector, zeroed[s:s+testSector]) {
				t.Fatalf("sector at %d is a mixture", s)
			}
		}
	})
}

// TestCrashReachesEveryFate makes sure that the crashes are as cruel as they
// may be: the properties above also hold for a file system that loses nothing.
func TestCrashReachesEveryFate(t *testing.T) {
	mem := vfs.NewMem()
	put(t, mem, "a", strings.Repeat("o", 2*testPage))
	noErr(t, mem.SyncDir("/"))
	f := must(mem.OpenReadWrite("a"))(t)
	must(f.WriteAt(bytes.Repeat([]byte("n"), 3*testPage), 0))(t)
	noErr(t, mem.Rename("a", "b"))
	put(t, mem, "c", "")

	page := func(s string) string {
		kinds := ""
		for _, k := range []string{"o", "n", "\x00"} {
			if strings.Contains(s, k) {
				kinds += k
			}
		}
		return kinds
	}
	seen := make(map[string]int)
	for seed := range uint64(2000) {
		after := mem.Crash(newRand(seed), 50)
		names := strings.Join(must(after.ReadDir("/"))(t), "")
		seen["names "+names]++
		data := get(t, after, names[:1])
		seen[fmt.Sprintf("size %d", len(data))]++
		seen[fmt.Sprintf("pages %q %q", page(data[:testPage]), page(data[testPage:2*testPage]))]++
		if len(data) > 2*testPage {
			seen[fmt.Sprintf("new page %q", page(data[2*testPage:]))]++
		}
	}
	for _, fate := range []string{
		"names a", "names ac", "names b", "names bc", "size 8192", "size 12288",
		`pages "o" "o"`, `pages "o" "n"`, `pages "n" "o"`, `pages "n" "n"`,
		`pages "on" "n"`, `pages "o" "on"`, `pages "\x00" "n"`, `pages "n\x00" "o"`,
		`new page "n"`, `new page "\x00"`, `new page "n\x00"`,
	} {
		if seen[fate] == 0 {
			t.Errorf("no crash left %s", fate)
		}
		delete(seen, fate)
	}
	for fate := range seen {
		if !strings.HasPrefix(fate, "pages") {
			t.Errorf("a crash left %s", fate)
		}
	}
}

func TestCrashTruncationOrder(t *testing.T) {
	mem := vfs.NewMem()
	put(t, mem, "a", "old old old")
	noErr(t, mem.SyncDir("/"))
	f := must(mem.OpenReadWrite("a"))(t)
	noErr(t, f.Truncate(0))
	must(f.WriteAt([]byte("new"), 0))(t)
	seen := make(map[string]bool)
	for seed := range uint64(500) {
		seen[get(t, mem.Crash(newRand(seed), 50), "a")] = true
	}
	want := []string{"", "\x00\x00\x00", "new", "old old old"}
	for _, w := range want {
		if !seen[w] {
			t.Errorf("no crash left %q", w)
		}
		delete(seen, w)
	}
	if len(seen) > 0 {
		t.Errorf("crashes mixed the old and the new file: %v", seen)
	}
}

func TestCrashNeedsBothSyncs(t *testing.T) {
	mem := vfs.NewMem()
	put(t, mem, "synced-file-only", "x")
	if names := must(mem.Crash(newRand(1), 0).ReadDir("/"))(t); len(names) != 0 {
		t.Errorf("names %q survived without SyncDir", names)
	}
	f := must(mem.Create("synced-name-only"))(t)
	must(f.WriteAt([]byte("x"), 0))(t)
	noErr(t, mem.SyncDir("/"))
	if got := get(t, mem.Crash(newRand(1), 0), "synced-name-only"); got != "" {
		t.Errorf("content %q survived without Sync", got)
	}
	noErr(t, mem.MkdirAll("d/e"))
	must(mem.Crash(newRand(1), 0).Stat("d/e"))(t)
}

func TestCrashAfterRenameAcrossDirectories(t *testing.T) {
	mem := vfs.NewMem()
	noErr(t, mem.MkdirAll("from"))
	noErr(t, mem.MkdirAll("to"))
	put(t, mem, "from/a", "x")
	noErr(t, mem.SyncDir("from"))
	noErr(t, mem.Rename("from/a", "to/b"))
	for seed := range uint64(100) {
		after := mem.Crash(newRand(seed), 50)
		names := append(must(after.ReadDir("from"))(t), must(after.ReadDir("to"))(t)...)
		if len(names) != 1 {
			t.Fatalf("seed %d: names %q, want exactly one", seed, names)
		}
	}
	noErr(t, mem.SyncDir("to"))
	if got := get(t, mem.Crash(newRand(1), 0), "to/b"); got != "x" {
		t.Errorf("content %q", got)
	}
}

func TestCrashInAChainOfRenamesLeavesOneName(t *testing.T) {
	mem := vfs.NewMem()
	put(t, mem, "a", "x")
	noErr(t, mem.SyncDir("/"))
	noErr(t, mem.Rename("a", "b"))
	noErr(t, mem.Rename("b", "c"))
	seen := make(map[string]bool)
	for seed := range uint64(200) {
		seen[strings.Join(must(mem.Crash(newRand(seed), 50).ReadDir("/"))(t), " ")] = true
	}
	for _, want := range []string{"a", "b", "c"} {
		if !seen[want] {
			t.Errorf("no crash left %s", want)
		}
		delete(seen, want)
	}
	if len(seen) > 0 {
		t.Errorf("crashes left %v", seen)
	}
}

// TestCrashDirectoryProperty makes, moves and removes files that are told
// apart by their content, and follows where each may be.
func TestCrashDirectoryProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := vfs.NewMem()
		dirs := []string{"d", "e"}
		for _, d := range dirs {
			noErr(t, mem.MkdirAll(d))
		}
		now := map[string]string{}             // name → file
		places := map[string]map[string]bool{} // file → names since it was last certain; "" is gone
		move := func(file, name string) { places[file][name] = true }
		names := []string{"d/1", "d/2", "d/3", "e/1", "e/2"}
		for i := range rapid.IntRange(1, 25).Draw(t, "steps") {
			a, b := rapid.SampledFrom(names).Draw(t, "a"), rapid.SampledFrom(names).Draw(t, "b")
			switch rapid.SampledFrom([]string{"create", "create", "rename", "remove", "sync", "crash"}).Draw(t, "step") {
			case "create":
				if now[a] == "" {
					file := fmt.Sprint("file", i)
					put(t, mem, a, file)
					now[a], places[file] = file, map[string]bool{"": true, a: true}
				}
			case "rename":
				if now[a] != "" && a != b {
					noErr(t, mem.Rename(a, b))
					if now[b] != "" {
						move(now[b], "")
					}
					move(now[a], b)
					now[b] = now[a]
					delete(now, a)
				}
			case "remove":
				if now[a] != "" {
					noErr(t, mem.Remove(a))
					move(now[a], "")
					delete(now, a)
				}
			case "sync":
				for _, d := range dirs {
					noErr(t, mem.SyncDir(d))
				}
				for file := range places {
					places[file] = map[string]bool{"": true}
				}
				for name, file := range now {
					places[file] = map[string]bool{name: true}
				}
			case "crash":
				rng := newRand(rapid.Uint64().Draw(t, "seed"))
				checkPlaces(t, mem.Crash(rng, rapid.IntRange(0, 100).Draw(t, "keep")), names, places)
			}
			all := listing(t, mem.Crash(newRand(1), 100), names)
			if len(all) != len(now) {
				t.Fatalf("with everything kept: %v, want %v", all, now)
			}
			for name, file := range now {
				if all[name] != file {
					t.Fatalf("with everything kept: %v, want %v", all, now)
				}
			}
		}
	})
}

func listing(t *rapid.T, fsys vfs.FS, names []string) map[string]string {
	found := make(map[string]string)
	for _, name := range names {
		if _, err := fsys.Stat(name); err == nil {
			found[name] = get(t, fsys, name)
		}
	}
	return found
}

func checkPlaces(t *rapid.T, fsys vfs.FS, names []string, places map[string]map[string]bool) {
	at := make(map[string]string)
	for name, file := range listing(t, fsys, names) {
		if at[file] != "" {
			t.Fatalf("%s has two names, %s and %s", file, at[file], name)
		}
		at[file] = name
	}
	for file, allowed := range places {
		if !allowed[at[file]] {
			t.Fatalf("%s is at %q, allowed %v", file, at[file], allowed)
		}
	}
}

func TestCrashIsReproducible(t *testing.T) {
	mem := vfs.NewMem()
	for i := range 30 {
		name := fmt.Sprint(i)
		f := must(mem.Create(name))(t)
		must(f.WriteAt([]byte(strings.Repeat(name, 5000)), 0))(t)
	}
	dump := func() string {
		after, all := mem.Crash(newRand(7), 60), ""
		for _, name := range must(after.ReadDir("/"))(t) {
			all += name + "=" + get(t, after, name) + ";"
		}
		return all
	}
	first := dump()
	for range 5 {
		if dump() != first {
			t.Fatal("the same seed gave two results")
		}
	}
}

func TestCrashIsIndependentOfTheOriginal(t *testing.T) {
	mem := vfs.NewMem()
	put(t, mem, "a", "before")
	noErr(t, mem.SyncDir("/"))
	held := must(mem.Lock("LOCK"))(t)
	after := mem.Crash(newRand(1), 100)
	f, g := must(mem.OpenReadWrite("a"))(t), must(after.OpenReadWrite("a"))(t)
	must(f.WriteAt([]byte("orig"), 0))(t)
	must(g.WriteAt([]byte("CLONED"), 0))(t)
	if a, b := get(t, mem, "a"), get(t, after, "a"); a != "origre" || b != "CLONED" {
		t.Errorf("original %q, clone %q", a, b)
	}
	if got := get(t, after.Crash(newRand(1), 0), "a"); got != "before" {
		t.Errorf("second crash lost what the first had left: %q", got)
	}
	again := must(after.Lock("LOCK"))(t) // the crash released it
	noErr(t, again.Close())
	noErr(t, held.Close())
}

func TestMemIsSafeForConcurrentUse(t *testing.T) {
	mem := vfs.NewMem()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			name := fmt.Sprint("f", i)
			f, err := mem.Create(name)
			if err != nil {
				t.Error(err)
				return
			}
			want := bytes.Repeat([]byte{byte(i + 1)}, 3000)
			for j := range 50 {
				_, err := f.WriteAt(want, int64(j)*3000)
				if err = errors.Join(err, f.Sync(), mem.SyncDir("/")); err != nil {
					t.Error(err)
				}
				after := mem.Crash(newRand(uint64(j)), 50)
				g, err := after.OpenReadWrite(name)
				if err != nil {
					t.Error(err)
					return
				}
				got := make([]byte, 3000)
				if _, err := g.ReadAt(got, int64(j)*3000); err != nil || !bytes.Equal(got, want) {
					t.Errorf("synced bytes of %s lost: %v", name, err)
				}
				if _, err := g.WriteAt([]byte("clone"), 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestWriteFileAtomicIsAtomicAtEveryStep(t *testing.T) {
	const older, newer = "the old content", "the new content, which is longer"
	base := vfs.NewMem()
	noErr(t, vfs.WriteFileAtomic(base, "/", "M", []byte(older)))
	faulty := vfs.NewFaulty(base)
	seen := make(map[string]bool)
	look := func(vfs.Call) error {
		for seed := range uint64(50) {
			after := base.Crash(newRand(seed), int(seed*2))
			got := get(t, after, "M")
			if got != older && got != newer {
				t.Fatalf("a crash left %q", got)
			}
			seen[got] = true
			noErr(t, vfs.WriteFileAtomic(after, "/", "M", []byte("third")))
		}
		return nil
	}
	faulty.SetHook(look)
	noErr(t, vfs.WriteFileAtomic(faulty, "/", "M", []byte(newer)))
	if !seen[older] || !seen[newer] {
		t.Errorf("crashes during the write left only %v", seen)
	}
	if got := get(t, base.Crash(newRand(1), 0), "M"); got != newer {
		t.Errorf("after success a crash left %q", got)
	}
}

func TestWriteFileAtomicSurvivesEveryFault(t *testing.T) {
	for _, outcome := range []vfs.Outcome{vfs.FailBefore, vfs.FailAfter, vfs.FailHalf} {
		for k := int64(0); ; k++ {
			mem := vfs.NewMem()
			noErr(t, vfs.WriteFileAtomic(mem, "/", "M", []byte("old")))
			faulty := vfs.NewFaulty(mem)
			faulty.Inject(vfs.Fault{After: k, Outcome: outcome})
			err := vfs.WriteFileAtomic(faulty, "/", "M", []byte("new"))
			if faulty.Injected() == 0 {
				noErr(t, err)
				if k < 6 {
					t.Errorf("only %d operations were made to fail", k)
				}
				break
			}
			wantErr(t, err, vfs.ErrInjected)
			for percent := range 101 {
				got := get(t, mem.Crash(newRand(uint64(percent)), percent), "M")
				if !slices.Contains([]string{"old", "new"}, got) {
					t.Errorf("fault %d left %q", k, got)
				}
			}
			noErr(t, vfs.WriteFileAtomic(mem, "/", "M", []byte("next")))
		}
	}
}

func TestLockedFileIsNotADirectory(t *testing.T) {
	mem := vfs.NewMem()
	noErr(t, mem.MkdirAll("d"))
	if _, err := mem.Lock("d"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lock of a directory: %v", err)
	}
	if err := mem.Rename("d", "d/e"); err == nil {
		t.Error("a directory was moved into itself")
	}
}
