//go:build e2e

package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cdc/changelog/disklog"
)

const (
	// restartBytes is the size of the sealed log that is opened again.
	restartBytes = 1 << 30
	// restartTarget is how long a log of restartTargetBytes may take to open.
	restartTarget      = 2 * time.Second
	restartTargetBytes = 10 << 30
	// restartPayload makes rows that no compression makes smaller, so that the
	// log gets its size from few of them.
	restartPayload = 1 << 10
	// restartUnits is how many small transactions are written between two looks
	// at whether they have filled a segment.
	restartUnits = 100_000
)

// measureRestart opens logs as a kill leaves them: one of sealed segments, of
// which only footers are read, one whose full segment is not sealed yet, so that
// every transaction in it is looked at, and one that is nearly empty. From them
// follows what a log of 10 GiB would take with such a segment at its end.
func measureRestart(b *testing.B, e *bench) {
	empty, _ := reopen(b, func(b *testing.B, w *rowWriter) {
		w.write(b, 1, 1)
		w.durable(b)
	})
	sealed, bytes := reopen(b, writeSealed)
	tail, _ := reopen(b, writeTail)
	e.add(b, figure{
		name: "opening " + sizeText(bytes) + " of sealed log, not in memory", ours: milliText(sealed), reference: milliText(empty) + " an empty log",
		value: float64(sealed) / 1e6, unit: "reopen-sealed-ms",
	})
	e.add(b, figure{
		name: "opening a full segment that is not sealed, not in memory", ours: milliText(tail), reference: milliText(empty) + " an empty log",
		value: float64(tail) / 1e6, unit: "reopen-tail-ms",
	})
	expected := tail + time.Duration(float64(max(sealed-empty, 0))*restartTargetBytes/bytes)
	e.add(b, figure{
		name: "opening 10 GiB of log, from the two above", ours: secondText(expected), target: "≤ 2 s", met: expected <= restartTarget,
		value: expected.Seconds(), unit: "reopen-10GiB-s",
	})
}

// writeSealed writes large rows, until a segment has just begun, and seals them.
func writeSealed(b *testing.B, w *rowWriter) {
	w.payload = restartPayload
	segments := 0
	for written := 0; written < scaled(restartBytes) || len(segmentFiles(b, w.dir)) == segments; written += 100 * changesInTwenty * restartPayload {
		segments = len(segmentFiles(b, w.dir))
		w.write(b, 100, changesInTwenty)
		w.durable(b)
	}
	if err := w.log.Seal(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// writeTail writes transactions of one small row until a segment is full.
func writeTail(b *testing.B, w *rowWriter) {
	for len(segmentFiles(b, w.dir)) < 2 {
		w.write(b, scaled(restartUnits), 1)
		w.durable(b)
	}
}

// reopen opens copies of a log as write leaves it, and returns the median time
// and the size of its full segments.
func reopen(b *testing.B, write func(*testing.B, *rowWriter)) (took time.Duration, bytes float64) {
	b.Helper()
	w := openRows(b, filepath.Join(b.TempDir(), "log"), int64(scaled(disklog.DefaultSegmentBytes)))
	write(b, w)
	segments := segmentFiles(b, w.dir)
	for _, path := range segments[:len(segments)-1] {
		bytes += fileBytes(b, path)
	}
	var runs []time.Duration
	for range benchRounds {
		dir := filepath.Join(b.TempDir(), "log")
		clone(b, w.dir, dir)
		forget(b, dir)
		began := time.Now()
		l, err := disklog.Open(dir, disklog.Options{KeepOpenForm: true})
		if err != nil {
			b.Fatal(err)
		}
		runs = append(runs, time.Since(began))
		if got := l.Bounds().Next; got <= w.last {
			b.Fatalf("the log was opened up to offset %d, it had %d", got, w.last)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.log.Close(); err != nil {
		b.Fatal(err)
	}
	return median(runs), bytes
}

// clone copies a folder while its writer holds it: that is how a kill leaves it.
// Full segments are not written to again, so they are the same files in both.
func clone(b *testing.B, from, to string) {
	b.Helper()
	segments := segmentFiles(b, from)
	full := segments[:len(segments)-1]
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		target := filepath.Join(to, name)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case slices.Contains(full, path):
			return os.Link(path, target)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
	if err != nil {
		b.Fatal(err)
	}
}

// forget makes the log's files durable and takes them out of memory.
func forget(b *testing.B, dir string) {
	b.Helper()
	for _, path := range segmentFiles(b, dir) {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			b.Fatal(fmt.Errorf("forget %s: %w", path, err))
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
