//go:build unix

package vfs_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"cdc/changelog/vfs"
)

func TestOSMakesFilesForTheOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	noErr(t, vfs.OS{}.MkdirAll(dir))
	put(t, vfs.OS{}, filepath.Join(dir, "f"), "x")
	held := must(vfs.OS{}.Lock(filepath.Join(dir, "LOCK")))(t)
	noErr(t, held.Close())
	for name, want := range map[string]os.FileMode{
		dir: 0o700, filepath.Dir(dir): 0o700,
		filepath.Join(dir, "f"): 0o600, filepath.Join(dir, "LOCK"): 0o600,
	} {
		if got := must(os.Stat(name))(t).Mode().Perm(); got != want {
			t.Errorf("mode of %s is %o, want %o", name, got, want)
		}
	}
}

func TestOSPreallocateReservesBlocks(t *testing.T) {
	f := must(vfs.OS{}.Create(filepath.Join(t.TempDir(), "a")))(t)
	defer closeFile(t, f)
	const size = 1 << 20
	noErr(t, f.Preallocate(size))
	st, ok := must(os.Stat(f.Name()))(t).Sys().(*syscall.Stat_t)
	if !ok || st.Size != size {
		t.Fatalf("size after Preallocate: %+v", st)
	}
	if got := int64(st.Blocks) * 512; got < size {
		t.Logf("this volume cannot reserve: %d of %d bytes", got, size)
	}
}
