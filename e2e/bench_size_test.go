//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
)

// Transactions of each kind whose size is measured.
const (
	sizeSingles  = 80_000
	sizeTwenties = 8_000
)

// sizeTarget is how many bytes of sealed log a byte of WAL may become.
const sizeTarget = 0.35

// measureSize compares the sealed log with the WAL that it came from.
func measureSize(b *testing.B, e *bench) {
	database := e.newWorkload(b)
	c := e.capture(b, database, "orders")
	c.untilCurrent(b)
	e.sql(b, database, "CREATE EXTENSION pg_walinspect")
	before, held := sealedBytes(b, c.data), 0
	for _, kind := range []struct {
		name, unit       string
		twenties, single int
	}{
		{"single-row transactions", "single", 0, scaled(sizeSingles)},
		{fmt.Sprintf("transactions of %d changes", changesInTwenty), "twenty", scaled(sizeTwenties), 0},
	} {
		// After a checkpoint the first change of each page brings the whole page
		// into the WAL: both sums are given, and the one without them is judged.
		e.sql(b, database, "CHECKPOINT")
		begin := e.sql(b, database, "SELECT pg_current_wal_insert_lsn()")
		e.change(b, database, kind.twenties, kind.single)
		whole, pages := e.walBytes(b, database, begin)
		c.untilCurrent(b)
		if held += kind.twenties*changesInTwenty + kind.single; countChanges(b, c.data, changelog.UnitTx) != held {
			b.Fatalf("the log does not hold the %d changes", held)
		}
		after := sealedBytes(b, c.data)
		log := after - before
		before = after
		ratio := log / (whole - pages)
		e.add(b, figure{
			name: "sealed log a byte of WAL, " + kind.name, ours: sizeText(log), reference: sizeText(whole-pages) + " of WAL", ratio: ratio,
			target: "ratio ≤ 0.35", met: ratio <= sizeTarget, value: ratio, unit: kind.unit + "-log/wal",
		})
		e.add(b, figure{
			name: "the same, with the WAL's full-page images", ours: sizeText(log), reference: sizeText(whole) + " of WAL", ratio: log / whole,
		})
	}
	e.dropSlots(b, database)
}

// walBytes is how much WAL was written since an LSN, and how much of that are
// images of whole pages.
func (e *bench) walBytes(b *testing.B, database, since string) (whole, pages float64) {
	b.Helper()
	// The function reads whole records only, so the end must be one that is
	// flushed: a transaction after it makes sure.
	out := e.sql(b, database, fmt.Sprintf(`
SELECT pg_current_wal_insert_lsn() AS till \gset
CREATE TABLE flushed_%[2]s();
SELECT pg_wal_lsn_diff(:'till', '%[1]s'), coalesce(sum(fpi_size), 0) FROM pg_get_wal_stats('%[1]s', :'till')`,
		since, strings.NewReplacer("/", "_").Replace(since)))
	if _, err := fmt.Sscanf(out, "%f|%f", &whole, &pages); err != nil {
		b.Fatalf("read sizes of the WAL from %q: %v", out, err)
	}
	return whole, pages
}

// tinySegmentBytes is the smallest size of a segment: with it every segment is
// full at the next append, and so can be sealed.
const tinySegmentBytes = 4 << 10

// sealedBytes seals all that a folder holds and returns the size of its log.
func sealedBytes(b *testing.B, dir string) float64 {
	b.Helper()
	l, err := disklog.Open(dir, disklog.Options{KeepOpenForm: true, SegmentBytes: tinySegmentBytes})
	if err != nil {
		b.Fatal(err)
	}
	var u changelog.UnitBuilder
	u.Reset(changelog.UnitControl)
	u.AddTag(changelog.Tag{Name: "measured", Offset: 1})
	n, err := l.Append(b.Context(), &u)
	if err == nil {
		err = l.WaitDurable(b.Context(), n)
	}
	if err == nil {
		err = l.Seal(context.WithoutCancel(b.Context()))
	}
	if err := errors.Join(err, l.Close()); err != nil {
		b.Fatal(err)
	}
	segments := segmentFiles(b, dir)
	total := 0.0
	for _, path := range segments[:len(segments)-1] { // the last holds the tag and is not sealed
		total += fileBytes(b, path)
	}
	return total
}

// segmentFiles are the files of a folder's log, side segments first and the
// others in order.
func segmentFiles(b *testing.B, dir string) (paths []string) {
	b.Helper()
	var sides []string
	err := filepath.WalkDir(filepath.Join(dir, "log"), func(path string, d fs.DirEntry, err error) error {
		switch filepath.Ext(path) {
		case ".seg":
			paths = append(paths, path)
		case ".side":
			sides = append(sides, path)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	if len(paths) == 0 {
		b.Fatalf("there is no log in %s", dir)
	}
	slices.Sort(paths)
	return append(sides, paths...)
}

func fileBytes(b *testing.B, path string) float64 {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return float64(info.Size())
}
