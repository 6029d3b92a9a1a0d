package disklog_test

import (
	"path/filepath"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/logtest"
	"cdc/changelog/vfs"
)

func TestLogOnDiskPassesTheSuite(t *testing.T) {
	root := t.TempDir()
	logtest.Run(t, func(t *testing.T, name string) changelog.Log {
		dir := filepath.Join(root, strings.ReplaceAll(name, "/", "-"))
		l, err := disklog.Open(dir, disklog.Options{SegmentBytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		return l
	})
}

// Small segments begin, fill and are sealed all the time.
func TestLogInMemoryPassesTheSuite(t *testing.T) {
	fs := vfs.NewMem()
	logtest.Run(t, func(t *testing.T, name string) changelog.Log {
		l, err := disklog.Open("/"+strings.ReplaceAll(name, "/", "-"), disklog.Options{FS: fs, SegmentBytes: 4 << 10})
		if err != nil {
			t.Fatal(err)
		}
		return l
	})
}
