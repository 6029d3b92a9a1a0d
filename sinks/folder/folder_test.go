package folder_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/changelog/vfs"
	"cdc/sinks"
	"cdc/sinks/folder"
)

// lines is a format: each unit adds a line with its offset to the stream "all", and to one of some more.
type lines struct{ streams int }

// pad makes lines so long that files and rounds reach their sizes after a few.
var pad = strings.Repeat("x", 200)

func (lines) Extension() string { return ".txt" }

func (l lines) Write(_ context.Context, r *folder.Round, u *changelog.Unit) (uint64, error) {
	n := u.Meta.Commit()
	for _, stream := range []string{"all", l.other(n)} {
		f, err := r.File(stream, n)
		if err != nil {
			return 0, err
		}
		if _, err := fmt.Fprintf(f, "%d %s\n", n, pad); err != nil {
			return 0, err
		}
	}
	return 2, nil
}

func (l lines) other(n changelog.Offset) string { return fmt.Sprintf("some-%d", int(n)%l.streams) }

// unit is the one with that offset.
func unit(t *testing.T, n changelog.Offset) *changelog.Unit {
	t.Helper()
	var b changelog.UnitBuilder
	b.Reset(changelog.UnitTick)
	b.Meta.First = n
	raw, err := b.AppendUnit(nil)
	if err != nil {
		t.Fatal(err)
	}
	u := &changelog.Unit{}
	if _, err := changelog.DecodeUnit(raw, u); err != nil {
		t.Fatal(err)
	}
	return u
}

// options are those of a folder that small files go to.
func options(fsys vfs.FS) folder.Options {
	return folder.Options{FS: fsys, Dir: "/out", Log: [16]byte{1}, FileBytes: 1 << 10, RoundBytes: 4 << 10, OpenFiles: 2}
}

func newSink(t *testing.T, o folder.Options, streams int) *folder.Sink {
	t.Helper()
	s, err := folder.New(o, lines{streams})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// read is the offsets of the stream "all" that a reader sees. All streams are checked on the way: lines are whole and in order.
func read(t *testing.T, fsys vfs.FS, streams int) (all []changelog.Offset) {
	t.Helper()
	dirs, err := fsys.ReadDir("/out")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if dir == "_cdc" {
			continue
		}
		files, err := fsys.ReadDir(path.Join("/out", dir))
		if err != nil {
			t.Fatal(err)
		}
		last := changelog.Offset(0)
		for _, name := range files {
			text, err := vfs.ReadFile(fsys, path.Join("/out", dir, name), 8<<20)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				var n changelog.Offset
				var rest string
				if _, err := fmt.Sscanf(line, "%d %s\n", &n, &rest); err != nil || rest != pad || n <= last {
					t.Fatalf("%s/%s: line %q after offset %d: %v", dir, name, line, last, err)
				}
				if dir != "all" && dir != (lines{streams}).other(n) {
					t.Fatalf("%s has offset %d", dir, n)
				}
				last = n
				if dir == "all" {
					all = append(all, n)
				}
			}
		}
	}
	return all
}

// checkArrived checks that a reader sees no offset twice, and all up to arrived: after a loss of power, files of a round that was
// committed and had not arrived may be missing until the sink is opened again.
func checkArrived(t *testing.T, fsys vfs.FS, streams int, arrived changelog.Offset) {
	t.Helper()
	for i, n := range read(t, fsys, streams) { // in order, as it has checked
		if want := changelog.Offset(i + 1); n != want && want <= arrived {
			t.Fatalf("offset %d is missing, all up to %d have arrived", want, arrived)
		}
	}
}

// check checks that a reader sees the first offsets up to some, and at least up to arrived.
func check(t *testing.T, fsys vfs.FS, streams int, arrived changelog.Offset) changelog.Offset {
	t.Helper()
	all := read(t, fsys, streams)
	for i, n := range all {
		if n != changelog.Offset(i+1) {
			t.Fatalf("offset %d where %d is next, of %v", n, i+1, all)
		}
	}
	if n := changelog.Offset(len(all)); n < arrived {
		t.Fatalf("a reader sees offsets up to %d, of which those up to %d have arrived", n, arrived)
	}
	return changelog.Offset(len(all))
}

// write opens the sink and writes the units that are missing up to last.
func write(t *testing.T, s *folder.Sink, saved sinks.Checkpoint, last changelog.Offset) error {
	t.Helper()
	after, err := s.Open(t.Context(), saved)
	if err != nil {
		return err
	}
	for n := after + 1; n <= last; n++ {
		if err := s.Write(t.Context(), unit(t, n)); err != nil {
			return err
		}
	}
	return s.Flush(t.Context())
}
