package folder_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cdc/changelog"
	"cdc/changelog/vfs"
	"cdc/sinks"
	"cdc/sinks/folder"
)

func TestRoundEndsByTimeWhileNothingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		faulty := vfs.NewFaulty(mem)
		o := options(faulty)
		o.Interval = time.Minute
		s := newSink(t, o, 1)
		if _, err := s.Open(t.Context(), sinks.Checkpoint{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Write(t.Context(), unit(t, 1)); err != nil {
			t.Fatal(err)
		}
		<-time.After(59 * time.Second)
		if n := check(t, mem, 1, 0); n != 0 || s.Arrived().Offset != 0 {
			t.Fatalf("a reader sees %d offsets before the interval is over", n)
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if n := check(t, mem, 1, 1); n != 1 || s.Arrived().Offset != 1 {
			t.Fatalf("a reader sees %d offsets after the interval", n)
		}
		if err := s.Write(t.Context(), unit(t, 2)); err != nil {
			t.Fatal(err)
		}
		faulty.Inject(vfs.Fault{Kinds: vfs.KindSync})
		<-time.After(time.Minute + time.Second)
		synctest.Wait()
		if err := s.Progress().Err; !errors.Is(err, vfs.ErrInjected) {
			t.Fatalf("the round's end failed, the sink says %v", err)
		}
		if err := s.Write(t.Context(), unit(t, 3)); !errors.Is(err, vfs.ErrInjected) {
			t.Fatalf("the round's end failed, the next write says %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := write(t, s, s.Arrived(), 3); err != nil {
			t.Fatal(err)
		}
		check(t, mem, 1, 3)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A reader takes files away as it has read them: the folder still knows how far it stands.
func TestG3FilesAreTakenAway(t *testing.T) {
	mem := vfs.NewMem()
	seen := changelog.Offset(0)
	for range 5 {
		s := newSink(t, options(mem), 1)
		if err := write(t, s, sinks.Checkpoint{}, seen+10); err != nil {
			t.Fatal(err)
		}
		for _, n := range read(t, mem, 1) {
			if n != seen+1 {
				t.Fatalf("offset %d after %d", n, seen)
			}
			seen = n
		}
		for _, dir := range []string{"/out/all", "/out/some-0"} {
			names, err := mem.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if err := mem.Remove(dir + "/" + name); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if seen != 50 {
		t.Fatalf("%d offsets of 50", seen)
	}
}

func TestNamedStops(t *testing.T) {
	tests := []struct {
		name string
		ruin func(t *testing.T, fsys vfs.FS, o *folder.Options)
		kind changelog.StopKind
		want string
	}{
		{"another log", func(_ *testing.T, _ vfs.FS, o *folder.Options) { o.Log = [16]byte{2} }, changelog.StopDiverged, "another folder"},
		{"a commit that cannot be read", func(t *testing.T, fsys vfs.FS, _ *folder.Options) {
			replace(t, fsys, "{")
		}, changelog.StopCorrupt, "commit.json cannot be read"},
		{"a commit of a later build", func(t *testing.T, fsys vfs.FS, _ *folder.Options) {
			replace(t, fsys, `{"format":2}`)
		}, changelog.StopCorrupt, "its format is 2"},
		{"a commit that was lost", func(t *testing.T, fsys vfs.FS, _ *folder.Options) {
			if err := fsys.Remove("/out/_cdc/commit.json"); err != nil {
				t.Fatal(err)
			}
		}, changelog.StopDiverged, "is there although"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			mem := vfs.NewMem()
			o := options(mem)
			s := newSink(t, o, 1)
			if err := write(t, s, sinks.Checkpoint{}, 3); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			test.ruin(t, mem, &o)
			err := write(t, newSink(t, o, 1), sinks.Checkpoint{}, 3)
			var stop *sinks.Stop
			if !errors.As(err, &stop) || stop.Kind != test.kind || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want the stop %s with %q", err, test.kind, test.want)
			}
			check(t, mem, 1, 3)
		})
	}
}

func replace(t *testing.T, fsys vfs.FS, text string) {
	t.Helper()
	if err := vfs.WriteFileAtomic(fsys, "/out/_cdc", "commit.json", []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// What a folder has is not published to another one: a sink whose folder is not the one that its checkpoint knows stops, rather than leave
// out what it has published before.
func TestAnotherFolderIsNoReasonToLeaveChangesOut(t *testing.T) {
	mem := vfs.NewMem()
	o := options(mem)
	s := newSink(t, o, 1)
	if err := write(t, s, sinks.Checkpoint{}, 10); err != nil {
		t.Fatal(err)
	}
	saved := s.Arrived()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other := o
	other.Dir = "/other"
	s = newSink(t, other, 1)
	_, err := s.Open(t.Context(), saved)
	var stop *sinks.Stop
	if !errors.As(err, &stop) || stop.Kind != changelog.StopDiverged {
		t.Fatalf("another folder: %v", err)
	}
	if after, err := s.Open(t.Context(), sinks.Checkpoint{}); err != nil || after != 0 {
		t.Fatalf("another folder without a checkpoint: after %d, %v", after, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = newSink(t, o, 1)
	if after, err := s.Open(t.Context(), saved); err != nil || after != saved.Offset {
		t.Fatalf("the folder of the checkpoint at %d: after %d, %v", saved.Offset, after, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestG9FolderInUseIsRefused(t *testing.T) {
	mem := vfs.NewMem()
	first, second := newSink(t, options(mem), 1), newSink(t, options(mem), 1)
	if err := write(t, first, sinks.Checkpoint{}, 3); err != nil {
		t.Fatal(err)
	}
	var refused *sinks.Refused
	if err := write(t, second, sinks.Checkpoint{}, 3); !errors.As(err, &refused) {
		t.Fatalf("a folder in use: %v", err)
	}
}

// countingFS counts the files that are open.
type countingFS struct {
	vfs.FS
	open, most atomic.Int64
}

type countedFile struct {
	vfs.File
	fs *countingFS
}

func (c *countingFS) counted(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	if n := c.open.Add(1); n > c.most.Load() {
		c.most.Store(n)
	}
	return countedFile{f, c}, nil
}

func (c *countingFS) Create(name string) (vfs.File, error) { return c.counted(c.FS.Create(name)) }

func (c *countingFS) OpenReadWrite(name string) (vfs.File, error) {
	return c.counted(c.FS.OpenReadWrite(name))
}

func (f countedFile) Close() error {
	f.fs.open.Add(-1)
	return f.File.Close()
}

func TestManyStreamsHaveFewFilesOpen(t *testing.T) {
	const streams, last = 300, 700
	counting := &countingFS{FS: vfs.NewMem()}
	o := options(counting)
	o.OpenFiles, o.RoundBytes, o.FileBytes = 16, 64<<20, 1<<20
	s := newSink(t, o, streams)
	if err := write(t, s, sinks.Checkpoint{}, last); err != nil {
		t.Fatal(err)
	}
	if n := check(t, counting, streams, last); n != last {
		t.Fatalf("%d offsets of %d", n, last)
	}
	// One more replaces the commit.
	if most := counting.most.Load(); most > 17 {
		t.Fatalf("%d files were open at once, at most 16 are allowed", most)
	}
	if n := counting.open.Load(); n != 0 {
		t.Fatalf("%d files are open although no round is", n)
	}
}

func TestSinkThatIsNotOpenRefuses(t *testing.T) {
	s := newSink(t, options(vfs.NewMem()), 1)
	if err := s.Write(t.Context(), unit(t, 1)); err == nil {
		t.Fatal("a sink that is not open takes a unit")
	}
	if err := s.Flush(context.Background()); err == nil {
		t.Fatal("a sink that is not open flushes")
	}
}

func TestFolderNames(t *testing.T) {
	long := strings.Repeat("ü", 200)
	tests := []struct{ stream, want string }{
		{"shop.public.orders", "shop.public.orders"},
		{"shop.public.Order Lines", "shop.public.Order%20Lines"},
		{"shop.public.größe", "shop.public.größe"},
		{"../etc/passwd", "%2E.%2Fetc%2Fpasswd"},
		{"..", "%2E."},
		{"_cdc", "%5Fcdc"},
		{"a%20b", "a%2520b"},
		{"a\xffb", "a%FFb"},
		{"a\x00b", "a%00b"},
		{"", "%"},
	}
	for _, test := range tests {
		if got := folder.FolderName(test.stream); got != test.want {
			t.Errorf("%q is in the folder %q, want %q", test.stream, got, test.want)
		}
	}
	a, b := folder.FolderName(long+"a"), folder.FolderName(long+"b")
	if a == b || len(a) > 255 || len(b) > 255 || !strings.HasPrefix(a, "üüü") {
		t.Errorf("long names %q and %q", a, b)
	}
}

func TestOptions(t *testing.T) {
	o := folder.Options{Interval: time.Millisecond, FileBytes: 1, RoundBytes: -1, OpenFiles: -1}
	err := o.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 4 {
		t.Fatalf("problems of bad options: %v", err)
	}
	o = folder.Options{Dir: "x"}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
}
