package vfs_test

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"reflect"
	"testing"

	"cdc/changelog/vfs"
)

// TestConformance holds every implementation to the contract of FS and File.
func TestConformance(t *testing.T) {
	systems := []struct {
		name string
		make func(t *testing.T) (vfs.FS, string)
	}{
		{"OS", func(t *testing.T) (vfs.FS, string) { return vfs.OS{}, t.TempDir() }},
		{"Mem", func(t *testing.T) (vfs.FS, string) { return vfs.NewMem(), "/" }},
		{"FaultyOS", func(t *testing.T) (vfs.FS, string) { return vfs.NewFaulty(vfs.OS{}), t.TempDir() }},
		{"FaultyMemWithLimit", func(t *testing.T) (vfs.FS, string) {
			f := vfs.NewFaulty(vfs.NewMem())
			f.SetFree(1 << 30)
			return f, "."
		}},
	}
	for _, system := range systems {
		for _, c := range conformanceCases {
			t.Run(system.name+"/"+c.name, func(t *testing.T) {
				fsys, dir := system.make(t)
				c.run(t, fsys, dir)
			})
		}
	}
}

var conformanceCases = []struct {
	name string
	run  func(t *testing.T, fsys vfs.FS, dir string)
}{
	{"CreateRefusesAnExistingName", createRefusesExisting},
	{"MissingNamesAreErrNotExist", missingNames},
	{"ReadsReturnWhatWasWritten", readsReturnWrites},
	{"ReadOnlyHandlesDoNotWrite", readOnlyHandles},
	{"ClosedHandlesAreDead", closedHandles},
	{"TruncateCutsAndZeroes", truncateCuts},
	{"PreallocateExtendsAndNeverShrinks", preallocate},
	{"NextDataPassesOverZerosOnly", nextData},
	{"RenameReplacesAndKeepsHandles", renameReplaces},
	{"RemoveKeepsHandlesAndFullDirectories", remove},
	{"MkdirAllMakesParents", mkdirAll},
	{"ReadDirIsSorted", readDir},
	{"LockHasOneHolder", lock},
	{"FreeIsPositive", free},
	{"WriteFileAtomicReplaces", writeFileAtomic},
	{"ReadFileObeysItsLimit", readFileLimit},
}

func createRefusesExisting(t *testing.T, fsys vfs.FS, dir string) {
	name := filepath.Join(dir, "a")
	put(t, fsys, name, "x")
	_, err := fsys.Create(name)
	wantErr(t, err, fs.ErrExist)
}

func missingNames(t *testing.T, fsys vfs.FS, dir string) {
	for _, name := range []string{filepath.Join(dir, "none"), filepath.Join(dir, "no", "dir")} {
		_, err := fsys.Open(name)
		wantErr(t, err, fs.ErrNotExist)
		_, err = fsys.OpenReadWrite(name)
		wantErr(t, err, fs.ErrNotExist)
		_, err = fsys.Stat(name)
		wantErr(t, err, fs.ErrNotExist)
		_, err = fsys.ReadDir(name)
		wantErr(t, err, fs.ErrNotExist)
		wantErr(t, fsys.Remove(name), fs.ErrNotExist)
		wantErr(t, fsys.Rename(name, filepath.Join(dir, "b")), fs.ErrNotExist)
		wantErr(t, fsys.SyncDir(name), fs.ErrNotExist)
	}
	_, err := fsys.Create(filepath.Join(dir, "no", "dir"))
	wantErr(t, err, fs.ErrNotExist)
}

func readsReturnWrites(t *testing.T, fsys vfs.FS, dir string) {
	f := must(fsys.Create(filepath.Join(dir, "a")))(t)
	defer closeFile(t, f)
	for _, w := range []struct {
		off  int64
		data string
	}{{0, "head"}, {4090, "over a page's edge"}, {2, "AD"}} {
		if n, err := f.WriteAt([]byte(w.data), w.off); n != len(w.data) || err != nil {
			t.Fatalf("WriteAt = %d, %v", n, err)
		}
	}
	noErr(t, f.Sync())
	if size := must(f.Size())(t); size != 4108 {
		t.Fatalf("size %d, want 4108", size)
	}
	buf := make([]byte, 4200)
	n, err := f.ReadAt(buf, 0)
	if n != 4108 || err != io.EOF {
		t.Fatalf("ReadAt past the end = %d, %v, want 4108 and EOF", n, err)
	}
	want := "heAD" + string(make([]byte, 4086)) + "over a page's edge"
	if string(buf[:n]) != want {
		t.Fatal("content differs")
	}
	if n, err := f.ReadAt(buf[:4], 4090); n != 4 || err != nil || string(buf[:4]) != "over" {
		t.Fatalf("ReadAt inside = %d, %v, %q", n, err, buf[:4])
	}
	if n, err := f.ReadAt(buf, 9999); n != 0 || err != io.EOF {
		t.Fatalf("ReadAt far past the end = %d, %v", n, err)
	}
	if f.Name() != filepath.Join(dir, "a") {
		t.Fatalf("name %q", f.Name())
	}
}

func readOnlyHandles(t *testing.T, fsys vfs.FS, dir string) {
	name := filepath.Join(dir, "a")
	put(t, fsys, name, "x")
	f := must(fsys.Open(name))(t)
	defer closeFile(t, f)
	if _, err := f.WriteAt([]byte("y"), 0); err == nil {
		t.Error("WriteAt on a read-only handle succeeded")
	}
	if f.Truncate(0) == nil {
		t.Error("Truncate on a read-only handle succeeded")
	}
	if got := get(t, fsys, name); got != "x" {
		t.Errorf("content %q", got)
	}
	rw := must(fsys.OpenReadWrite(name))(t)
	defer closeFile(t, rw)
	_, err := rw.WriteAt([]byte("y"), 0)
	noErr(t, err)
	if got := get(t, fsys, name); got != "y" {
		t.Errorf("content %q", got)
	}
}

func closedHandles(t *testing.T, fsys vfs.FS, dir string) {
	f := must(fsys.Create(filepath.Join(dir, "a")))(t)
	noErr(t, f.Close())
	_, err := f.WriteAt([]byte("y"), 0)
	wantErr(t, err, fs.ErrClosed)
	_, err = f.ReadAt(make([]byte, 1), 0)
	wantErr(t, err, fs.ErrClosed)
	wantErr(t, f.Close(), fs.ErrClosed)
	if f.Sync() == nil {
		t.Error("Sync on a closed handle succeeded")
	}
}

func truncateCuts(t *testing.T, fsys vfs.FS, dir string) {
	name := filepath.Join(dir, "a")
	put(t, fsys, name, "abcdef")
	f := must(fsys.OpenReadWrite(name))(t)
	defer closeFile(t, f)
	noErr(t, f.Truncate(2))
	noErr(t, f.Truncate(5))
	if got := get(t, fsys, name); got != "ab\x00\x00\x00" {
		t.Fatalf("content %q: cut bytes came back", got)
	}
	if f.Truncate(-1) == nil {
		t.Fatal("negative size accepted")
	}
}

func preallocate(t *testing.T, fsys vfs.FS, dir string) {
	name := filepath.Join(dir, "a")
	put(t, fsys, name, "abc")
	f := must(fsys.OpenReadWrite(name))(t)
	defer closeFile(t, f)
	noErr(t, f.Preallocate(1<<16))
	if size := must(f.Size())(t); size != 1<<16 {
		t.Fatalf("size %d after Preallocate", size)
	}
	noErr(t, f.Preallocate(10))
	if size := must(fsys.Stat(name))(t); size != 1<<16 {
		t.Fatalf("size %d after a smaller Preallocate", size)
	}
	if got := get(t, fsys, name); got != "abc"+string(make([]byte, 1<<16-3)) {
		t.Fatal("content differs")
	}
}

// nextData writes at two places of a reserved file and sees both of them in what NextData says.
func nextData(t *testing.T, fsys vfs.FS, dir string) {
	f := must(fsys.Create(filepath.Join(dir, "f")))(t)
	defer f.Close()
	const size, first, second = 8 << 20, 64 << 10, 5<<20 + 77
	if err := f.Preallocate(size); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{first, second} {
		if _, err := f.WriteAt([]byte("data"), at); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for off := int64(0); ; {
		from, to, err := f.NextData(off)
		if err != nil || from < off || to > size {
			t.Fatalf("after %d: %d to %d, %v", off, from, to, err)
		}
		for _, at := range []int64{first, second} {
			if from <= at && at+4 <= to {
				seen++
			}
		}
		if from == to {
			break
		}
		off = to
	}
	if seen != 2 {
		t.Fatalf("%d of 2 places were seen", seen)
	}
	if from, to, err := f.NextData(size); from != to || err != nil {
		t.Fatalf("at the end: %d to %d, %v", from, to, err)
	}
}

func renameReplaces(t *testing.T, fsys vfs.FS, dir string) {
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	put(t, fsys, a, "new")
	put(t, fsys, b, "old")
	open := must(fsys.Open(b))(t)
	defer closeFile(t, open)
	noErr(t, fsys.Rename(a, b))
	noErr(t, fsys.SyncDir(dir))
	if got := get(t, fsys, b); got != "new" {
		t.Errorf("content %q after rename", got)
	}
	if got := contentOf(t, open); got != "old" {
		t.Errorf("open handle reads %q", got)
	}
	_, err := fsys.Stat(a)
	wantErr(t, err, fs.ErrNotExist)
}

func remove(t *testing.T, fsys vfs.FS, dir string) {
	sub := filepath.Join(dir, "sub")
	noErr(t, fsys.MkdirAll(sub))
	name := filepath.Join(sub, "a")
	put(t, fsys, name, "x")
	open := must(fsys.Open(name))(t)
	defer closeFile(t, open)
	if fsys.Remove(sub) == nil {
		t.Fatal("a directory with a file in it was removed")
	}
	noErr(t, fsys.Remove(name))
	_, err := fsys.Open(name)
	wantErr(t, err, fs.ErrNotExist)
	if got := contentOf(t, open); got != "x" {
		t.Errorf("open handle reads %q", got)
	}
	noErr(t, fsys.Remove(sub))
	_, err = fsys.Stat(sub)
	wantErr(t, err, fs.ErrNotExist)
}

func mkdirAll(t *testing.T, fsys vfs.FS, dir string) {
	deep := filepath.Join(dir, "x", "y", "z")
	noErr(t, fsys.MkdirAll(deep))
	noErr(t, fsys.MkdirAll(deep))
	noErr(t, fsys.MkdirAll(dir))
	if size := must(fsys.Stat(deep))(t); size != 0 {
		t.Errorf("size of a directory %d", size)
	}
	put(t, fsys, filepath.Join(deep, "f"), "x")
	if err := fsys.MkdirAll(filepath.Join(deep, "f")); err == nil {
		t.Error("MkdirAll over a file succeeded")
	}
	if err := fsys.MkdirAll(filepath.Join(deep, "f", "g")); err == nil {
		t.Error("MkdirAll below a file succeeded")
	}
}

func readDir(t *testing.T, fsys vfs.FS, dir string) {
	for _, name := range []string{"c", "a", "b0", "b"} {
		put(t, fsys, filepath.Join(dir, name), "")
	}
	noErr(t, fsys.MkdirAll(filepath.Join(dir, "aa")))
	want := []string{"a", "aa", "b", "b0", "c"}
	if got := must(fsys.ReadDir(dir))(t); !reflect.DeepEqual(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
}

func lock(t *testing.T, fsys vfs.FS, dir string) {
	name := filepath.Join(dir, "LOCK")
	held := must(fsys.Lock(name))(t)
	_, err := fsys.Lock(name)
	wantErr(t, err, vfs.ErrLocked)
	noErr(t, held.Close())
	again := must(fsys.Lock(name))(t)
	if held.Close() == nil {
		t.Error("a lock was released twice")
	}
	_, err = fsys.Lock(name)
	wantErr(t, err, vfs.ErrLocked)
	noErr(t, again.Close())
}

func free(t *testing.T, fsys vfs.FS, dir string) {
	if n := must(fsys.Free(dir))(t); n <= 0 {
		t.Errorf("free %d", n)
	}
	if _, err := fsys.Free(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("free of a missing directory: %v", err)
	}
}

func writeFileAtomic(t *testing.T, fsys vfs.FS, dir string) {
	put(t, fsys, filepath.Join(dir, "M.tmp"), "left by a crash, longer than the rest")
	for _, data := range []string{"first", "2nd", ""} {
		noErr(t, vfs.WriteFileAtomic(fsys, dir, "M", []byte(data)))
		if got := must(vfs.ReadFile(fsys, filepath.Join(dir, "M"), 100))(t); string(got) != data {
			t.Errorf("content %q, want %q", got, data)
		}
	}
	if got := must(fsys.ReadDir(dir))(t); !reflect.DeepEqual(got, []string{"M"}) {
		t.Errorf("names %q", got)
	}
}

func readFileLimit(t *testing.T, fsys vfs.FS, dir string) {
	name := filepath.Join(dir, "a")
	put(t, fsys, name, "1234")
	if _, err := vfs.ReadFile(fsys, name, 4); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	_, err := vfs.ReadFile(fsys, name, 3)
	wantErr(t, err, vfs.ErrTooLarge)
}

// tb is what the helpers need of a test or of a property.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// put makes a file with a synced content.
func put(t tb, fsys vfs.FS, name, data string) {
	t.Helper()
	f := must(fsys.Create(name))(t)
	_, err := f.WriteAt([]byte(data), 0)
	noErr(t, err)
	noErr(t, f.Sync())
	closeFile(t, f)
}

func get(t tb, fsys vfs.FS, name string) string {
	t.Helper()
	return string(must(vfs.ReadFile(fsys, name, 1<<30))(t))
}

func contentOf(t tb, f vfs.File) string {
	t.Helper()
	data := make([]byte, must(f.Size())(t))
	if n, err := f.ReadAt(data, 0); n != len(data) || err != nil && err != io.EOF {
		t.Fatalf("read %s: %d bytes, %v", f.Name(), n, err)
	}
	return string(data)
}

func closeFile(t tb, f vfs.File) {
	t.Helper()
	noErr(t, f.Close())
}

// must returns v, or ends the test that it is then given.
func must[T any](v T, err error) func(tb) T {
	return func(t tb) T {
		t.Helper()
		noErr(t, err)
		return v
	}
}

func noErr(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t tb, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}
