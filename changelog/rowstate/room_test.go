package rowstate

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cdc/changelog"
)

// smallDisk is a disk that may be full.
type smallDisk struct {
	vfs.FS
	full    atomic.Bool
	filling atomic.Bool // it will be full right after somebody has asked
}

func (d *smallDisk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if d.full.Load() {
		return nil, syscall.ENOSPC
	}
	f, err := d.FS.Create(name, category)
	return smallFile{f, d}, err
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if d.full.Load() {
		return vfs.DiskUsage{AvailBytes: roomBytes - 1}, nil
	}
	d.full.Store(d.filling.Load())
	return vfs.DiskUsage{AvailBytes: 1 << 30}, nil
}

type smallFile struct {
	vfs.File
	disk *smallDisk
}

func (f smallFile) Write(p []byte) (int, error) {
	if f.disk.full.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}

// smallRows are rows on a disk that may be full, which count how often the log is read from its beginning.
func smallRows(l changelog.Log) (rows *Rows, disk *smallDisk, again *int) {
	again, disk = new(int), &smallDisk{FS: vfs.NewMem()}
	rows = NewRows(RowsOptions{Log: l, Reading: func(from, _ changelog.Offset) {
		if from == 0 {
			*again++
		}
	}})
	rows.fs = disk
	return rows, disk, again
}

// within runs f, which must not wait for the disk.
func within(t *testing.T, what string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(10 * time.Second):
		t.Fatalf("%s waits for a disk that is full", what)
		return nil
	}
}

// A full disk holds up neither whoever says that something has arrived nor the end of the process, and costs no rows: they go on from
// where they were when there is space.
func TestG8OldRowsOutliveAFullDisk(t *testing.T) {
	l := newLog(t)
	table := pairs(t, l, "a")
	tell(t, l, changelog.OpCreate, table, "first")
	second := tell(t, l, changelog.OpUpdate, table, "second")
	third := tell(t, l, changelog.OpUpdate, table, "third")
	rows, disk, again := smallRows(l)
	if got := noteOf(t, l, rows, second); got != "first" {
		t.Fatalf("the old row is %q", got)
	}
	disk.full.Store(true)
	rows.flushed -= flushOffsets // as if so much had been read since
	if err := within(t, "Arrived", func() error { return rows.Arrived(second) }); err != nil && !errors.Is(err, errRoom) {
		t.Fatal(err)
	}
	if err := within(t, "Close", rows.Close); err != nil {
		t.Fatal(err)
	}
	if err := within(t, "Seek", func() error { return rows.Seek(t.Context(), second) }); !errors.Is(err, errRoom) {
		t.Fatalf("rows on a full disk: %v", err)
	}
	disk.empty(rows.room)
	if got := noteOf(t, l, rows, third); got != "second" || *again != 1 {
		t.Fatalf("the old row is %q, the log was read %d times from its beginning", got, *again)
	}
	if err := within(t, "Close", rows.Close); err != nil {
		t.Fatal(err)
	}
}

// Rows on a disk that is full when they are to be opened are neither opened nor removed, and opening them ends with the context.
func TestG8FullDiskIsNoReasonToReadTheLogAgain(t *testing.T) {
	l := newLog(t)
	table := pairs(t, l, "a")
	tell(t, l, changelog.OpCreate, table, "first")
	second := tell(t, l, changelog.OpUpdate, table, "second")
	third := tell(t, l, changelog.OpUpdate, table, "third")
	rows, disk, again := smallRows(l)
	noteOf(t, l, rows, second)
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	disk.full.Store(true)
	if err := within(t, "Seek", func() error { return rows.Seek(t.Context(), second) }); !errors.Is(err, errRoom) {
		t.Fatalf("rows on a full disk: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	disk.full.Store(false)
	disk.filling.Store(true)
	if err := within(t, "Seek", func() error { return rows.Seek(ctx, second) }); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("rows on a full disk: %v", err)
	}
	disk.filling.Store(false)
	disk.full.Store(false)
	if got := noteOf(t, l, rows, third); got != "second" || *again != 1 {
		t.Fatalf("the old row is %q, the log was read %d times from its beginning", got, *again)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
}

// storeOnFullDisk is a store whose disk has become full since it was opened.
func storeOnFullDisk(t *testing.T) (*Store, *smallDisk) {
	t.Helper()
	disk := &smallDisk{FS: vfs.NewMem()}
	s, err := openOn(t.Context(), Options{Log: newLog(t), Source: 1}, disk, "rowstate")
	if err != nil {
		t.Fatal(err)
	}
	disk.full.Store(true)
	return s, disk
}

// empty makes space, and waits until that is known.
func (d *smallDisk) empty(r *room) {
	d.full.Store(false)
	for r.check() != nil {
		<-time.After(roomPause / 10)
	}
}

// A checkpoint that is due while the disk is full does not keep the process from ending.
func TestG8CheckpointDoesNotWaitForAFullDisk(t *testing.T) {
	s, disk := storeOnFullDisk(t)
	s.taken = checkpointBytes
	if err := within(t, "Durable", func() error { return s.Durable(0) }); err != nil {
		t.Fatal(err)
	}
	disk.empty(s.room)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// The log may have room on a disk that is full for all else, in a segment that it has already: what its source is told then waits for
// nothing, and is in the store when there is space.
func TestG8FullDiskUnderTheRowsOfASource(t *testing.T) {
	s, disk := storeOnFullDisk(t)
	if _, err := s.db.AsyncFlush(); err != nil {
		t.Fatal(err)
	}
	for s.room.check() == nil {
		<-time.After(time.Millisecond)
	}
	const layers = 40 // of 1 MiB: more than the key-value store keeps in memory
	key := string(tablePrefix(spaceRows, 1)[1:])
	for i := range layers {
		l := newLayer()
		l.commit, l.rows[key] = changelog.Offset(i+1), bytes.Repeat([]byte{byte(i)}, 1<<20)
		s.layers, s.committed = append(s.layers, l), l.commit
		if err := within(t, "Durable", func() error { return s.Durable(l.commit) }); err != nil {
			t.Fatal(err)
		}
	}
	disk.empty(s.room)
	if err := s.Durable(layers); err != nil {
		t.Fatal(err)
	}
	row, ok, err := s.lookup(spaceRows, []byte(key))
	if err != nil || !ok || len(s.layers) > 0 || row[0] != layers-1 {
		t.Fatalf("a row %t, %d layers are left, %v", ok, len(s.layers), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
