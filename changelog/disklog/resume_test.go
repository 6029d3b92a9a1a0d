package disklog_test

import (
	"errors"
	"testing"

	"cdc/changelog"
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

// A cursor that has reported damage does not go on behind it when it is asked again.
func TestG7CursorDoesNotPassDamageWhenItIsAskedAgain(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		fs := vfs.NewMem()
		l := openMem(t, fs, disklog.Options{SegmentBytes: 512 << 10, KeepOpenForm: true})
		f := fill(t, l, 0, 1)
		for n := uint64(1); n < 80; n++ { // several blocks a segment
			last, err := f.Append(t.Context(), n, 2000)
			must(t, err)
			must(t, l.WaitDurable(t.Context(), last))
		}
		if sealed {
			must(t, l.Seal(t.Context()))
		}
		b := content(t, fs, firstSegment)
		b[len(b)/3] ^= 1
		overwrite(t, fs, firstSegment, b)

		readAgainAndAgain(t, l)
	}
}

// The same for a transaction whose side segment is lost.
func TestG7CursorDoesNotPassALostSideSegmentWhenItIsAskedAgain(t *testing.T) {
	fs := vfs.NewMem()
	l := openMem(t, fs, disklog.Options{})
	writeEveryKind(t, l)
	fill(t, l, 100, 110)
	must(t, fs.Remove("/data/log/side/00000001.side"))
	readAgainAndAgain(t, l)
}

// readAgainAndAgain reads until damage has been reported many times, and sees to it that no unit is left out.
func readAgainAndAgain(t *testing.T, l changelog.Log) {
	t.Helper()
	c, err := l.Cursor(changelog.CursorOptions{})
	must(t, err)
	next := changelog.Offset(1)
	for failures := 0; failures < 20; {
		u, err := c.Next(t.Context())
		var corrupt *changelog.CorruptError
		switch {
		case errors.As(err, &corrupt):
			failures++
		case err != nil:
			t.Fatalf("after %d failures: %v", failures, err)
		case u.Meta.First != next:
			t.Fatalf("after %d failures a unit of offset %d, want %d", failures, u.Meta.First, next)
		default:
			next += changelog.Offset(u.Meta.Count)
		}
	}
	must(t, c.Close())
}
