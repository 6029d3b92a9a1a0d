package disklog_test

import (
	"errors"
	"io"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/logtest"
	"cdc/changelog/segment"
	"cdc/changelog/vfs"
)

// BenchmarkAppend appends transactions of one narrow change until all are durable.
func BenchmarkAppend(b *testing.B) {
	l, err := disklog.Open(b.TempDir(), disklog.Options{KeepOpenForm: true})
	if err != nil {
		b.Fatal(err)
	}
	f, err := logtest.NewFixture(l)
	if err != nil {
		b.Fatal(err)
	}
	var last changelog.Offset
	n, bytes := uint64(0), 0
	for b.Loop() {
		u, err := f.Build(n, 1)
		if err != nil {
			b.Fatal(err)
		}
		bytes += u.ChangeBytes()
		if last, err = l.Append(b.Context(), u); err != nil {
			b.Fatal(err)
		}
		n++
	}
	if err := l.WaitDurable(b.Context(), last); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "units/s")
	b.SetBytes(int64(bytes / int(n)))
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkScan reads every change of a log, in the open and in the sealed form.
func BenchmarkScan(b *testing.B) {
	for _, changes := range []int{1, 100} {
		for _, form := range []string{"open", "sealed"} {
			b.Run(map[int]string{1: "rows=1", 100: "rows=100"}[changes]+"/form="+form, func(b *testing.B) { benchmarkScan(b, changes, form == "sealed") })
		}
	}
}

func benchmarkScan(b *testing.B, changes int, sealed bool) {
	l, err := disklog.Open(b.TempDir(), disklog.Options{KeepOpenForm: true, SegmentBytes: 4 << 20})
	if err != nil {
		b.Fatal(err)
	}
	f, err := logtest.NewFixture(l)
	if err != nil {
		b.Fatal(err)
	}
	var last changelog.Offset
	for n := range 400_000 / changes {
		if last, err = f.Append(b.Context(), uint64(n), changes); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.WaitDurable(b.Context(), last); err != nil {
		b.Fatal(err)
	}
	if sealed {
		if err := l.Seal(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	seen := 0
	for b.Loop() {
		seen += scanAll(b, l)
	}
	b.ReportMetric(float64(seen)/b.Elapsed().Seconds(), "changes/s")
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

func scanAll(b *testing.B, l *disklog.Log) int {
	c, err := l.Cursor(changelog.CursorOptions{})
	if err != nil {
		b.Fatal(err)
	}
	var change changelog.Change
	seen := 0
	for {
		u, err := c.Next(b.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		for {
			ok, err := u.Next(&change)
			if err != nil {
				b.Fatal(err)
			}
			if !ok {
				break
			}
			seen++
		}
	}
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
	return seen
}

// walBytes is what a single-row transaction of the narrow table costs at least in a Postgres WAL: the row's record, an index entry and
// the commit record. A sealed log may take 0.35 of it.
const walBytes = 180

func TestSealedLogIsSmall(t *testing.T) {
	fs := vfs.NewMem()
	l := openMem(t, fs, disklog.Options{KeepOpenForm: true, SegmentBytes: 256 << 10})
	f := fill(t, l, 0, 1)
	var last changelog.Offset
	var err error
	for n := uint64(1); n < 20_000; n++ {
		if last, err = f.Append(t.Context(), n, 1); err != nil {
			t.Fatal(err)
		}
	}
	must(t, l.WaitDurable(t.Context(), last))
	must(t, l.Seal(t.Context()))
	must(t, l.Close())
	reports, err := disklog.Stat(fs, crashFolder)
	must(t, err)
	bytes, units := int64(0), uint64(0)
	for _, r := range reports {
		if r.Form == segment.FormSealed {
			bytes += r.Bytes
			units += uint64(r.Next-r.First) / 2 // a change and a commit
		}
	}
	if units < 5_000 || bytes > int64(units)*walBytes*35/100 {
		t.Fatalf("%d transactions take %d bytes when sealed", units, bytes)
	}
	t.Logf("%.1f bytes a transaction", float64(bytes)/float64(units))
}
