package vfs_test

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"cdc/changelog/vfs"
)

// A child between its fork and its program holds copies of all descriptors: here
// one that lasts.
func TestOSLockEndsThoughAChildHoldsTheDescriptor(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	held := must(vfs.OS{}.Lock(name))(t)
	entries := must(os.ReadDir("/proc/self/fd"))(t)
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err != nil || target != name {
			continue
		}
		fd := must(strconv.Atoi(e.Name()))(t)
		child := must(syscall.Dup(fd))(t)
		defer syscall.Close(child)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := vfs.OS{}.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
