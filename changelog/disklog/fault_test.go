package disklog_test

import (
	"context"
	"errors"
	"path"
	"strings"
	"syscall"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/logtest"
	"cdc/changelog/segment"
	"cdc/changelog/vfs"
)

// The tests in this file damage files, make operations fail and fill the disk, and look at what the log makes of it.

const firstSegment = "/data/log/00000001.seg"

func openMem(t *testing.T, fs vfs.FS, o disklog.Options) *disklog.Log {
	t.Helper()
	o.FS = fs
	l, err := disklog.Open(crashFolder, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// fill appends transactions [from, to), each durable before the next.
func fill(t *testing.T, l changelog.Log, from, to uint64) *logtest.Fixture {
	t.Helper()
	f, err := logtest.NewFixture(l)
	if err != nil {
		t.Fatal(err)
	}
	for n := from; n < to; n++ {
		last, err := f.Append(t.Context(), n, 2)
		if err == nil {
			err = l.WaitDurable(t.Context(), last)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// frames are the places of the frames of a file in the open form, and where the last ends.
func frames(t *testing.T, fs vfs.FS, name string) []int64 {
	t.Helper()
	r, err := segment.OpenReader(fs, name, name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	size, err := r.Size()
	if err != nil {
		t.Fatal(err)
	}
	places := []int64{segment.HeaderBytes}
	for {
		h, _, err := r.Frame(places[len(places)-1], size)
		if err != nil {
			return places
		}
		places = append(places, places[len(places)-1]+h.Size())
	}
}

// content is the whole content of a file.
func content(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(fs, name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// overwrite replaces a file's content.
func overwrite(t *testing.T, fs vfs.FS, name string, b []byte) {
	t.Helper()
	if err := vfs.WriteFileAtomic(fs, path.Dir(name), path.Base(name), b); err != nil {
		t.Fatal(err)
	}
}

// killed is a copy of the file system as the kill of the process leaves it.
func killed(t *testing.T, fs *vfs.Mem) *vfs.Mem {
	t.Helper()
	return fs.Crash(newRand(1), 100)
}

func TestG7TornTailIsCutAtEveryByte(t *testing.T) {
	mem := vfs.NewMem()
	l := openMem(t, mem, disklog.Options{SegmentBytes: crashSegment})
	fill(t, l, 0, 6)
	left := killed(t, mem)
	places := frames(t, left, firstSegment)
	whole := content(t, left, firstSegment)
	from, to := places[len(places)-3], places[len(places)-1]
	for at := from; at < to; at++ {
		for name, filler := range map[string]byte{"zeros": 0, "garbage": 0xa7} {
			torn := append([]byte(nil), whole...)
			for i := at; i < to; i++ {
				torn[i] = filler
			}
			fs := killed(t, left)
			overwrite(t, fs, firstSegment, torn)
			if err := checkRecovered(fs, 1); err != nil {
				t.Fatalf("%s from byte %d of the last two frames on: %v", name, at-from, err)
			}
			kept, err := fs.ReadDir("/data/log/quarantine")
			if err != nil || len(kept) > 1 {
				t.Fatalf("quarantine holds %v (%v)", kept, err)
			}
		}
	}
}

func TestG7DamageBeforeTheLastSyncIsNotCut(t *testing.T) {
	mem := vfs.NewMem()
	l := openMem(t, mem, disklog.Options{SegmentBytes: 64 << 10})
	fill(t, l, 0, 20)
	left := killed(t, mem)
	places := frames(t, left, firstSegment)
	whole := content(t, left, firstSegment)
	for at := int64(0); at < places[len(places)-2]; at += 7 {
		damaged := append([]byte(nil), whole...)
		damaged[at] ^= 0x10
		fs := killed(t, left)
		overwrite(t, fs, firstSegment, damaged)
		opened, err := disklog.Open(crashFolder, disklog.Options{FS: fs, SegmentBytes: 64 << 10})
		var corrupt *changelog.CorruptError
		switch {
		case err == nil:
			_ = opened.Close()
			t.Fatalf("a flipped bit at byte %d goes unnoticed", at)
		case !errors.As(err, &corrupt) || corrupt.File != "log/00000001.seg":
			t.Fatalf("a flipped bit at byte %d: %v", at, err)
		}
		if err != nil && string(content(t, fs, firstSegment)) != string(damaged) {
			t.Fatalf("a flipped bit at byte %d: the file was changed", at)
		}
	}
}

func TestG1FailedSyncPoisonsForEver(t *testing.T) {
	mem := vfs.NewMem()
	fs := vfs.NewFaulty(mem)
	l := openMem(t, fs, disklog.Options{})
	f := fill(t, l, 0, 3)
	durable := l.Bounds().Next
	fs.Inject(vfs.Fault{Kinds: vfs.KindSync})
	n, err := f.Append(t.Context(), 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.WaitDurable(t.Context(), n); !errors.Is(err, changelog.ErrPoisoned) {
		t.Fatalf("waiting for what could not be synced: %v", err)
	}
	syncs := fs.Count(vfs.KindSync)
	if _, err := f.Append(t.Context(), 4, 1); !errors.Is(err, changelog.ErrPoisoned) {
		t.Fatalf("append to a poisoned log: %v", err)
	}
	if l.Bounds().Next != durable || !errors.Is(l.Health().Err, changelog.ErrPoisoned) {
		t.Fatalf("bounds %v, health %v", l.Bounds(), l.Health())
	}
	if err := l.Close(); !errors.Is(err, changelog.ErrPoisoned) {
		t.Fatalf("close: %v", err)
	}
	if again := fs.Count(vfs.KindSync); again != syncs {
		t.Fatalf("%d syncs after the failed one", again-syncs)
	}
	// The pages that could not be synced are still to be seen; nobody may take them for durable.
	opened := openMem(t, mem, disklog.Options{})
	if next := opened.Bounds().Next; next != durable {
		t.Fatalf("after a restart the log ends at offset %d, durable was %d", next, durable)
	}
}

func TestG8DiskFullPausesAndGoesOnByItself(t *testing.T) {
	fs := vfs.NewFaulty(vfs.NewMem())
	l := openMem(t, fs, disklog.Options{SegmentBytes: crashSegment})
	f := fill(t, l, 0, 3)
	fs.SetFree(100) // the next frame fits in part
	var last changelog.Offset
	var err error
	for n := uint64(3); n < 30; n++ {
		if last, err = f.Append(t.Context(), n, 3); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, func() bool { return errors.Is(l.Health().Err, changelog.ErrNoSpace) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := l.WaitDurable(ctx, last); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("wait on a full disk: %v", err)
	}
	fs.SetFree(vfs.Unlimited)
	if err := l.WaitDurable(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	if n, err := countTransactions(l, f); err != nil || n != 30 {
		t.Fatalf("%d transactions after the disk was freed (%v)", n, err)
	}
	if err := l.Health().Err; err != nil {
		t.Fatalf("health after the disk was freed: %v", err)
	}
}

func TestG8AppendsBlockWhileTheDiskIsFullAndEndWithTheirContext(t *testing.T) {
	fs := vfs.NewFaulty(vfs.NewMem())
	l := openMem(t, fs, disklog.Options{})
	f := fill(t, l, 0, 1)
	fs.SetFree(0)
	fs.SetHook(func(c vfs.Call) error {
		if c.Kind == vfs.KindWrite {
			return syscall.ENOSPC
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	blocked := make(chan error, 1)
	go func() {
		for n := uint64(1); ; n++ {
			if _, err := f.Append(ctx, n, 2000); err != nil {
				blocked <- err
				return
			}
		}
	}()
	waitFor(t, func() bool { return l.Health().PendingBytes >= 8<<20 })
	cancel()
	if err := <-blocked; !errors.Is(err, context.Canceled) {
		t.Fatalf("a blocked append ends with %v", err)
	}
}

func TestG9SecondWriterIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	l := openMem(t, fs, disklog.Options{})
	if _, err := disklog.Open(crashFolder, disklog.Options{FS: fs}); !errors.Is(err, changelog.ErrInUse) {
		t.Fatalf("a second writer: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	openMem(t, fs, disklog.Options{})
}

// Each operation of a history fails in turn, until one runs untouched. What was durable before is there afterwards.
func TestG7FailureOfEveryOperationLosesNothingDurable(t *testing.T) {
	for _, outcome := range []vfs.Outcome{vfs.FailBefore, vfs.FailAfter, vfs.FailHalf} {
		k := int64(0)
		for ; ; k++ {
			mem := vfs.NewMem()
			fs := vfs.NewFaulty(mem)
			fs.Inject(vfs.Fault{After: k, Outcome: outcome})
			durable := history(t.Context(), fs)
			if err := checkRecovered(mem, durable); err != nil {
				t.Fatalf("outcome %d of operation %d: %v", outcome, k, err)
			}
			if fs.Injected() == 0 {
				break
			}
		}
		if k < 100 {
			t.Fatalf("only %d operations", k)
		}
	}
}

// history opens a log, fills and seals segments, reads and closes, and returns what became durable.
func history(ctx context.Context, fs vfs.FS) changelog.Offset {
	l, err := disklog.Open(crashFolder, disklog.Options{FS: fs, SegmentBytes: crashSegment, KeepOpenForm: true})
	if err != nil {
		return 1
	}
	durable := func() changelog.Offset {
		defer func() { _ = l.Close() }()
		f, err := logtest.NewFixture(l)
		if err != nil {
			return l.Bounds().Next
		}
		for n := range uint64(25) {
			last, err := f.Append(ctx, n, 3)
			if err != nil || l.WaitDurable(ctx, last) != nil {
				return l.Bounds().Next
			}
		}
		if l.Seal(ctx) == nil {
			_, _ = countTransactions(l, f)
		}
		return l.Bounds().Next
	}()
	return durable
}

func TestG7MissingRenamedAndDuplicatedSegmentsAreNoticedAndTheOthersRead(t *testing.T) {
	for _, form := range []string{"open", "sealed"} {
		for _, fault := range []string{"missing", "renamed", "duplicated", "garbage", "empty"} {
			t.Run(form+" "+fault, func(t *testing.T) { testFileFault(t, form == "sealed", fault) })
		}
	}
}

func testFileFault(t *testing.T, sealed bool, fault string) {
	fs := vfs.NewMem()
	l := openMem(t, fs, disklog.Options{SegmentBytes: crashSegment, KeepOpenForm: true})
	fill(t, l, 0, 100)
	if sealed {
		if err := l.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	next := l.Bounds().Next
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	second, third := "/data/log/00000002.seg", "/data/log/00000003.seg"
	switch fault {
	case "missing":
		must(t, fs.Remove(second))
	case "renamed":
		must(t, fs.Rename(third, second))
	case "duplicated":
		overwrite(t, fs, second, content(t, fs, third))
	case "garbage":
		overwrite(t, fs, second, []byte(strings.Repeat("garbage ", 1000)))
	case "empty":
		overwrite(t, fs, second, nil)
	}
	l = openMem(t, fs, disklog.Options{SegmentBytes: crashSegment, KeepOpenForm: true})
	if len(l.Health().Damage) == 0 {
		t.Fatal("no damage is reported")
	}
	if l.Bounds().Next != next {
		t.Fatalf("log ends at %d, before it was %d", l.Bounds().Next, next)
	}
	read, err := readFrom(l, 0)
	var corrupt *changelog.CorruptError
	if !errors.As(err, &corrupt) || !strings.HasPrefix(corrupt.File, "log/0000000") {
		t.Fatalf("reading across the fault: %v", err)
	}
	if read == 0 {
		t.Fatal("nothing before the fault was read")
	}
	if read, err = readFrom(l, next-10); err != nil || read == 0 {
		t.Fatalf("reading behind the fault: %d units, %v", read, err)
	}
	f := fill(t, l, 100, 110)
	if f.Log.Bounds().Next <= next {
		t.Fatal("nothing was appended")
	}
}

// readFrom counts the units from an offset on.
func readFrom(l changelog.Log, from changelog.Offset) (int, error) {
	c, err := l.Cursor(changelog.CursorOptions{From: from})
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	for n := 0; ; n++ {
		u, err := c.Next(context.Background())
		if isEOF(err) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		var change changelog.Change
		for {
			if ok, err := u.Next(&change); err != nil {
				return n, err
			} else if !ok {
				break
			}
		}
	}
}

// A frame of one place that was written to another, in the same file or in another log's, is damage and never data.
func TestG7MisdirectedWriteIsDamage(t *testing.T) {
	mem := vfs.NewMem()
	l := openMem(t, mem, disklog.Options{SegmentBytes: 64 << 10})
	fill(t, l, 0, 10)
	must(t, l.Close())
	places := frames(t, mem, firstSegment)
	whole := content(t, mem, firstSegment)
	other := vfs.NewMem()
	o := openMem(t, other, disklog.Options{SegmentBytes: 64 << 10})
	fill(t, o, 0, 10)
	must(t, o.Close())
	foreign := content(t, other, firstSegment)
	for name, from := range map[string][]byte{
		"an earlier frame of this file":       whole[places[3]:places[4]],
		"the same frame of another log":       foreign[places[5]:places[6]],
		"all frames of another log from here": foreign[places[5]:],
	} {
		damaged := append([]byte(nil), whole...)
		copy(damaged[places[5]:], from)
		fs := killed(t, mem)
		overwrite(t, fs, firstSegment, damaged)
		_, err := disklog.Open(crashFolder, disklog.Options{FS: fs, SegmentBytes: 64 << 10})
		var corrupt *changelog.CorruptError
		if !errors.As(err, &corrupt) || corrupt.At != places[5] {
			t.Errorf("%s at byte %d: %v", name, places[5], err)
		}
	}
}

func TestG7LostManifestIsMadeAgain(t *testing.T) {
	for _, left := range []string{"", "garbage", "cdc log manifest 1\n"} {
		fs := vfs.NewMem()
		l := openMem(t, fs, disklog.Options{SegmentBytes: crashSegment})
		fill(t, l, 0, 50)
		next, id := l.Bounds().Next, l.ID()
		must(t, l.Close())
		must(t, fs.Remove("/data/MANIFEST"))
		if left != "" {
			overwrite(t, fs, "/data/MANIFEST", []byte(left))
		}
		l = openMem(t, fs, disklog.Options{SegmentBytes: crashSegment})
		if l.Bounds().Next != next || l.ID() != id {
			t.Fatalf("manifest %q: the log ends at %d, not %d", left, l.Bounds().Next, next)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor waits until a condition that the log's goroutines bring about holds.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("what was waited for does not come")
		}
	}
}
