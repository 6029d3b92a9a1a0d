package disklog_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/segment"
	"cdc/changelog/vfs"
)

// readCounter counts the bytes that are read through it, and the syncs.
type readCounter struct {
	vfs.FS
	bytes atomic.Int64
	syncs atomic.Int64
}

type countedFile struct {
	vfs.File
	counter *readCounter
}

func (c *readCounter) Open(name string) (vfs.File, error) {
	f, err := c.FS.Open(name)
	return countedFile{f, c}, err
}

func (f countedFile) ReadAt(b []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(b, off)
	f.counter.bytes.Add(int64(n))
	return n, err
}

func (f countedFile) Sync() error {
	f.counter.syncs.Add(1)
	return f.File.Sync()
}

// A reader makes durable what it finds only where nobody says that it is.
func TestOpeningALogThatWasClosedSyncsNothing(t *testing.T) {
	dir := t.TempDir()
	l, err := disklog.Open(dir, disklog.Options{})
	must(t, err)
	fill(t, l, 0, 10)
	for _, closed := range []bool{false, true} {
		if closed {
			must(t, l.Close())
		}
		counter := &readCounter{FS: vfs.OS{}}
		reader, err := disklog.Open(dir, disklog.Options{FS: counter, ReadOnly: true})
		must(t, err)
		if got := reader.Bounds().Next; got != l.Bounds().Next {
			t.Errorf("closed=%t: the reader's log ends at %d, the writer's at %d", closed, got, l.Bounds().Next)
		}
		must(t, reader.Close())
		if synced := counter.syncs.Load() > 0; synced == closed {
			t.Errorf("closed=%t: synced=%t", closed, synced)
		}
	}
}

// Most of a young log is space that is reserved and was never written.
func TestOpeningASmallLogDoesNotReadReservedSpace(t *testing.T) {
	dir := t.TempDir()
	l, err := disklog.Open(dir, disklog.Options{})
	must(t, err)
	defer l.Close()
	fill(t, l, 0, 10)
	durable := l.Bounds().Next
	for name, hint := range map[string]func() changelog.Offset{
		"with the writer's hint": func() changelog.Offset { return durable }, "without": nil,
	} {
		counter := &readCounter{FS: vfs.OS{}}
		reader, err := disklog.Open(dir, disklog.Options{FS: counter, ReadOnly: true, DurableHint: hint})
		must(t, err)
		if got := reader.Bounds().Next; got != durable {
			t.Errorf("%s: the reader's log ends at %d, the writer's at %d", name, got, durable)
		}
		must(t, reader.Close())
		if n := counter.bytes.Load(); n > 4<<20 {
			t.Errorf("%s: %d bytes were read", name, n)
		}
	}
}

func TestG7DataBehindDamageInAFullSegmentStaysReadable(t *testing.T) {
	fs := vfs.NewMem()
	o := disklog.Options{SegmentBytes: 16 << 10, KeepOpenForm: true}
	l := openMem(t, fs, o)
	fill(t, l, 0, 200)
	must(t, l.Close())
	places := frames(t, fs, firstSegment)
	damaged := content(t, fs, firstSegment)
	damaged[places[4]+segment.FrameHeaderBytes+20] ^= 1
	overwrite(t, fs, firstSegment, damaged)
	behind := firstOffset(t, fs, places[6])

	for _, readOnly := range []bool{false, true} {
		o.ReadOnly = readOnly
		l := openMem(t, fs, o)
		if len(l.Health().Damage) == 0 {
			t.Fatalf("read-only=%t: no damage is reported", readOnly)
		}
		var corrupt *changelog.CorruptError
		if _, err := readFrom(l, 0); !errors.As(err, &corrupt) {
			t.Fatalf("read-only=%t: reading across the damage: %v", readOnly, err)
		}
		if n, err := readFrom(l, behind); err != nil || n < 100 {
			t.Fatalf("read-only=%t: behind the damage %d units can be read, %v", readOnly, n, err)
		}
		must(t, l.Close())
	}
}

// firstOffset is the first offset of the frame at a place of the first segment.
func firstOffset(t *testing.T, fs vfs.FS, pos int64) changelog.Offset {
	t.Helper()
	r, err := segment.OpenReader(fs, firstSegment, firstSegment)
	must(t, err)
	defer func() { _ = r.Close() }()
	size, err := r.Size()
	must(t, err)
	h, _, err := r.Frame(pos, size)
	must(t, err)
	return h.First
}

// The first segment is missed even though no segment before it says that it should be there, and the side segments that it alone
// names are kept.
func TestG7LostFirstSegmentIsNoticedAndItsSideSegmentsAreKept(t *testing.T) {
	for _, manifest := range []bool{true, false} {
		fs := vfs.NewMem()
		l := openMem(t, fs, disklog.Options{SegmentBytes: crashSegment, KeepOpenForm: true})
		writeEveryKind(t, l)
		fill(t, l, 0, 100)
		must(t, l.Close())
		before, err := fs.ReadDir("/data/log/side")
		must(t, err)
		must(t, fs.Remove(firstSegment))
		if !manifest {
			must(t, fs.Remove("/data/MANIFEST"))
		}
		l = openMem(t, fs, disklog.Options{SegmentBytes: crashSegment, KeepOpenForm: true})
		if len(l.Health().Damage) == 0 || l.Bounds().First != 1 {
			t.Errorf("manifest=%t: damage %v, first offset %d", manifest, l.Health().Damage, l.Bounds().First)
		}
		var corrupt *changelog.CorruptError
		if _, err := readFrom(l, 0); !errors.As(err, &corrupt) || !strings.Contains(corrupt.File, "00000001.seg") {
			t.Errorf("manifest=%t: reading the lost segment: %v", manifest, err)
		}
		after, err := fs.ReadDir("/data/log/side")
		must(t, err)
		if len(before) == 0 || len(after) != len(before) {
			t.Errorf("manifest=%t: side segments %v become %v", manifest, before, after)
		}
		must(t, l.Close())
	}
}

// A reader must not take a damaged end of the log for its end.
func TestG7ReaderMissesDurableDataThatIsDamaged(t *testing.T) {
	fs := vfs.NewMem()
	l := openMem(t, fs, disklog.Options{SegmentBytes: 64 << 10, KeepOpenForm: true})
	fill(t, l, 0, 20)
	durable := l.Bounds().Next
	hint := func() changelog.Offset { return durable }
	check := func(when string, o disklog.Options) {
		t.Helper()
		o.FS, o.ReadOnly = fs, true
		var corrupt *changelog.CorruptError
		r, err := disklog.Open(crashFolder, o)
		if !errors.As(err, &corrupt) {
			t.Errorf("%s: %v", when, err)
		}
		if err == nil {
			_ = r.Close()
		}
	}
	places := frames(t, fs, firstSegment)
	whole := content(t, fs, firstSegment)
	damaged := append([]byte(nil), whole...)
	damaged[places[len(places)-2]+segment.FrameHeaderBytes] ^= 1
	overwrite(t, fs, firstSegment, damaged)
	check("the writer says what is durable", disklog.Options{DurableHint: hint})

	overwrite(t, fs, firstSegment, whole)
	must(t, l.Close())
	damaged = content(t, fs, firstSegment)
	damaged[places[len(places)-2]+segment.FrameHeaderBytes] ^= 1
	overwrite(t, fs, firstSegment, damaged)
	check("the manifest says what was durable", disklog.Options{})
}

// What a follower takes in may be read and searched at the same time.
func TestFollowerIsSearchedWhileItTakesInNews(t *testing.T) {
	fs := vfs.NewMem()
	l := openMem(t, fs, disklog.Options{SegmentBytes: 64 << 10})
	f := fill(t, l, 0, 1)
	reader := openMem(t, fs, disklog.Options{ReadOnly: true, DurableHint: func() changelog.Offset { return l.Bounds().Next }})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			_, err := reader.Search(ctx, f.Source, 0, func(m *changelog.UnitMeta) bool { return m.Position == "none" })
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	fill(t, l, 1, 300)
	c, err := reader.Cursor(changelog.CursorOptions{Follow: true, To: l.Bounds().Next - 1})
	must(t, err)
	for err == nil {
		_, err = c.Next(t.Context())
	}
	if !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	stop()
	wg.Wait()
	must(t, c.Close())
}

// Readers of one log take in news for each other.
func TestReadersShareALogThatIsBeingWritten(t *testing.T) {
	fs := vfs.NewMem()
	l := openMem(t, fs, disklog.Options{SegmentBytes: crashSegment})
	fill(t, l, 0, 1)
	reader := openMem(t, fs, disklog.Options{ReadOnly: true, DurableHint: func() changelog.Offset { return l.Bounds().Next }})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := readFrom(reader, max(1, reader.Bounds().Next-1)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	fill(t, l, 1, 300)
	stop()
	wg.Wait()
}
