package disklog_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/vfs"
)

var rewrite = flag.Bool("rewrite", false, "write the golden folder of the present format anew")

const goldenV1 = "testdata/golden/v1"

// Every build reads what the first one wrote. The folder holds a sealed segment, an open one, a side segment and all kinds of units.
func TestGoldenFolderOfFormat1ReadsAsItWasWritten(t *testing.T) {
	if *rewrite {
		writeGolden(t)
	}
	var got bytes.Buffer
	must(t, disklog.Dump(&got, vfs.OS{}, goldenV1, disklog.DumpOptions{Changes: true}))
	want, err := os.ReadFile(goldenV1 + ".txt")
	must(t, err)
	if got.String() != string(want) {
		t.Fatalf("the dump of %s is not %s.txt but:\n%s", goldenV1, goldenV1, got.String())
	}
	must(t, disklog.Verify(t.Context(), vfs.OS{}, goldenV1, func(disklog.SegmentReport) {}))
	l, err := disklog.Open(goldenV1, disklog.Options{ReadOnly: true})
	must(t, err)
	if n, err := readFrom(l, 0); err != nil || n < 20 {
		t.Fatalf("%d units, %v", n, err)
	}
	must(t, l.Close())
}

func writeGolden(t *testing.T) {
	must(t, os.RemoveAll(goldenV1))
	l, err := disklog.Open(goldenV1, disklog.Options{SegmentBytes: 4 << 10, KeepOpenForm: true})
	must(t, err)
	writeEveryKind(t, l)
	must(t, l.Seal(t.Context()))
	must(t, l.Close())
	trimReserved(t, goldenV1)
	must(t, os.Remove(goldenV1+"/lock"))
	var text bytes.Buffer
	must(t, disklog.Dump(&text, vfs.OS{}, goldenV1, disklog.DumpOptions{Changes: true}))
	must(t, os.WriteFile(goldenV1+".txt", text.Bytes(), 0o600))
}

// trimReserved cuts the zeros at the end of the last segment, which the repository need not hold.
func trimReserved(t *testing.T, dir string) {
	names, err := filepath.Glob(dir + "/log/*.seg")
	must(t, err)
	last := names[len(names)-1]
	b, err := os.ReadFile(last)
	must(t, err)
	end := len(bytes.TrimRight(b, "\x00"))
	must(t, os.Truncate(last, int64(end+7)&^7))
}

// writeEveryKind appends units of every kind and changes of every op.
func writeEveryKind(t *testing.T, l changelog.Log) {
	f := fill(t, l, 0, 60)
	b := changelog.UnitBuilder{}
	b.Reset(changelog.UnitTick)
	b.Meta.Source, b.Meta.Epoch, b.Meta.Position, b.Meta.Clock = f.Source, f.Epoch, "tick", 1_700_000_001_000_000
	appendDurable(t, l, &b)
	b.Reset(changelog.UnitControl)
	b.Meta.Source, b.Meta.Epoch = f.Source, f.Epoch
	b.AddTag(changelog.Tag{Name: "tag", Offset: 5})
	b.AddStop(changelog.Stop{Kind: changelog.StopGap, Position: "here", Detail: "slot is gone", Remedy: "resolve", At: 7})
	b.AddDecision(changelog.Decision{Action: "accept-gap", Detail: "why not", At: 8})
	b.AddSource(changelog.SourceInfo{ID: f.Source, Epoch: 2, Name: "shop", Kind: "postgres", Identity: []changelog.Fact{{Name: "slot", Value: "cdc"}}})
	appendDurable(t, l, &b)
	u, err := f.Build(60, 2)
	must(t, err)
	u.Truncate(f.Tables[0], changelog.TruncateOptions{Cascade: true})
	u.Message([]byte("prefix"), []byte("content"))
	appendDurable(t, l, u)
	w, err := l.NewSide()
	must(t, err)
	u, err = f.Build(61, 40)
	must(t, err)
	must(t, w.Write(u.TakeChanges(), 40))
	ref, err := w.Seal()
	must(t, err)
	u.SetSide(ref)
	u.Meta.Kind = changelog.UnitTx
	appendDurable(t, l, u)
}

func appendDurable(t *testing.T, l changelog.Log, b *changelog.UnitBuilder) {
	t.Helper()
	n, err := l.Append(t.Context(), b)
	must(t, err)
	must(t, l.WaitDurable(t.Context(), n))
}

func TestG7VerifyFindsFlippedBits(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		fs := vfs.NewMem()
		l := openMem(t, fs, disklog.Options{SegmentBytes: 4 << 10, KeepOpenForm: true})
		writeEveryKind(t, l)
		if sealed {
			must(t, l.Seal(t.Context()))
		}
		must(t, l.Close())
		must(t, disklog.Verify(t.Context(), fs, crashFolder, func(disklog.SegmentReport) {}))
		name := "/data/log/00000002.seg"
		whole := content(t, fs, name)
		for at := 0; at < len(bytes.TrimRight(whole, "\x00")); at += 13 {
			damaged := append([]byte(nil), whole...)
			damaged[at] ^= 1
			overwrite(t, fs, name, damaged)
			err := disklog.Verify(t.Context(), fs, crashFolder, func(disklog.SegmentReport) {})
			var corrupt *changelog.CorruptError
			if !errors.As(err, &corrupt) {
				t.Fatalf("sealed=%t: a flipped bit in byte %d: %v", sealed, at, err)
			}
		}
	}
}

func TestG7VerifyFindsADamagedOrMissingSideSegment(t *testing.T) {
	fs := vfs.NewMem()
	l := openMem(t, fs, disklog.Options{})
	writeEveryKind(t, l)
	must(t, l.Close())
	name := "/data/log/side/00000001.side"
	b := content(t, fs, name)
	b[len(b)/2] ^= 4
	overwrite(t, fs, name, b)
	for _, want := range []string{"00000001.side", "missing"} {
		err := disklog.Verify(t.Context(), fs, crashFolder, func(disklog.SegmentReport) {})
		var corrupt *changelog.CorruptError
		if !errors.As(err, &corrupt) || !strings.Contains(err.Error(), want) {
			t.Fatalf("verify: %v", err)
		}
		if want != "missing" {
			must(t, fs.Remove(name))
		}
	}
	reports, err := disklog.Stat(fs, crashFolder)
	if err != nil || len(reports) != 1 || reports[0].Err == nil {
		t.Fatalf("stat: %+v, %v", reports, err)
	}
}
