package parquet_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"

	"cdc/changelog"
	"cdc/changelog/vfs"
	"cdc/sinks"
	"cdc/sinks/folder"
	"cdc/sinks/parquet"
	"cdc/sinks/sinktest"
)

func TestConformance(t *testing.T) {
	sinktest.Run(t, sinktest.Options{
		Locked: true, NoTombstones: true, MemoryBytes: 56 << 20, // a zstd encoder takes 16 of them
		Open: func(t *testing.T) sinktest.Destination {
			return &destination{Disk: sinktest.NewDisk(), t: t, options: parquet.Options{
				Folder: folder.Options{Dir: t.TempDir(), Interval: time.Second}, RowGroupBytes: 4 << 20,
			}}
		},
	})
}

// Small files, row groups and numbers of writers lead over all the borders that sizes make.
func TestConformanceOfSmallFiles(t *testing.T) {
	sinktest.Run(t, sinktest.Options{
		Locked: true, NoTombstones: true, LargeBytes: 1 << 20,
		Open: func(t *testing.T) sinktest.Destination {
			return &destination{Disk: sinktest.NewDisk(), t: t, options: parquet.Options{
				Folder:        folder.Options{Dir: t.TempDir(), Interval: time.Second, FileBytes: 4 << 10, RoundBytes: 8 << 10, OpenFiles: 1},
				RowGroupBytes: 2 << 10, Writers: 1,
			}}
		},
	})
}

// destination is a folder of Parquet files.
type destination struct {
	*sinktest.Disk
	t       *testing.T
	options parquet.Options
}

// Sink implements sinktest.Destination.
func (d *destination) Sink(sinks.Encoder) (sinks.Sink, error) {
	return d.Start(func(fs vfs.FS) (sinks.Sink, error) {
		o := d.options
		o.Folder.FS = fs
		o.Source = func(changelog.SourceID) string { return "shop" }
		return parquet.New(o)
	})
}

// row is one of the suite's tables, for a reader.
type row struct {
	Op     string `parquet:"__op"`
	Offset int64  `parquet:"__offset"`
	Commit int64  `parquet:"__commit"`
	Source string `parquet:"__source"`
	Image  string `parquet:"__image,optional"`
	ID     *int64 `parquet:"id"`
	Count  *int64 `parquet:"count"`
	Note   string `parquet:"note,optional"`
	Before *struct {
		ID    *int64 `parquet:"id"`
		Count *int64 `parquet:"count"`
	} `parquet:"__before"`
	Unfit *string `parquet:"__unfit"`
}

// Messages implements sinktest.Destination.
func (d *destination) Messages(f func(*sinks.Message)) {
	d.t.Helper()
	names, err := filepath.Glob(filepath.Join(d.options.Folder.Dir, "*", "*.parquet"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, name := range names { // sorted
		rows, err := pq.ReadFile[row](name)
		if err != nil {
			d.t.Fatal(err)
		}
		topic := strings.ReplaceAll(filepath.Base(filepath.Dir(name)), "%20", " ")
		want := fmt.Sprintf("%020d-%020d.parquet", rows[0].Offset, rows[len(rows)-1].Offset)
		if filepath.Base(name) != want {
			d.t.Fatalf("file %s holds what %s is to hold", name, want)
		}
		for i := range rows {
			f(d.message(topic, &rows[i]))
		}
	}
}

func (d *destination) message(topic string, r *row) *sinks.Message {
	d.t.Helper()
	sound := r.Source == "shop" && r.Unfit == nil && r.Commit > r.Offset && (r.Before != nil) == (r.Op != "c") && (r.Image == "full") == (r.Op != "c")
	if sound && r.Op == "u" {
		sound = *r.Before.ID == *r.ID && *r.Before.Count == *r.Count-1
	}
	if !sound {
		d.t.Fatalf("row %+v of %s", r, topic)
	}
	return &sinks.Message{
		Topic: topic, Key: fmt.Appendf(nil, `{"id":%d}`, *r.ID),
		Value:   fmt.Appendf(nil, `{"op":%q,"count":%d,"note":%q}`, r.Op, *r.Count, r.Note),
		Headers: []sinks.Header{{Name: sinktest.HeaderName, Value: []byte(r.Op)}},
	}
}
