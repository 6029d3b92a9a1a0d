package disklog_test

import (
	"testing"

	"cdc/changelog/disklog"
	"cdc/changelog/vfs"
)

// A damaged segment may name any side segment: none is removed, and none is written over or in the way of a new one.
func TestG8LargeTransactionsGoOnBesideADamagedSegment(t *testing.T) {
	fs := vfs.NewMem()
	o := disklog.Options{SegmentBytes: crashSegment, KeepOpenForm: true}
	l := openMem(t, fs, o)
	writeEveryKind(t, l)
	fill(t, l, 100, 110)
	must(t, l.Close())
	must(t, fs.Remove(firstSegment))
	l = openMem(t, fs, o)
	if len(l.Health().Damage) == 0 {
		t.Fatal("no damage is reported")
	}
	w, err := l.NewSide()
	must(t, err)
	must(t, w.Write([]byte("change section"), 1))
	ref, err := w.Seal()
	must(t, err)
	if ref.ID <= 1 {
		t.Fatalf("side segment %d is given again", ref.ID)
	}
}
