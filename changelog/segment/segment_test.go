package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"cdc/changelog"
	"cdc/changelog/vfs"

	"pgregory.net/rapid"
)

var testID = ID{Log: [16]byte{1, 2, 3}, Kind: KindMain, Number: 7}

// randomUnits are encoded units with messages of random bytes, which do not compress.
func randomUnits(t testing.TB, rng *rand.Rand, first changelog.Offset, bytes int) []byte {
	t.Helper()
	var raw []byte
	for len(raw) < bytes {
		var b changelog.UnitBuilder
		b.Reset(changelog.UnitTx)
		content := make([]byte, 100+rng.IntN(400))
		for i := range content {
			content[i] = byte(rng.Uint32())
		}
		b.Message([]byte("noise"), content)
		position := binary.BigEndian.AppendUint64(nil, rng.Uint64())
		b.Meta.First, b.Meta.Source, b.Meta.Epoch, b.Meta.Position = first, 1, 1, changelog.Position(position)
		b.Meta.XID, b.Meta.CommitTime, b.Meta.Clock = rng.Uint64(), changelog.Micros(rng.Int64()), changelog.Micros(rng.Int64())
		var err error
		if raw, err = b.AppendUnit(raw); err != nil {
			t.Fatal(err)
		}
		first += changelog.Offset(b.Meta.Count)
	}
	return raw
}

// sealedFile is the content of a sealed segment of at least that many bytes.
func sealedFile(t testing.TB, size int) (*vfs.Mem, []byte) {
	t.Helper()
	fs := vfs.NewMem()
	file, err := fs.Create("sealed.seg")
	if err != nil {
		t.Fatal(err)
	}
	catalog := changelog.NewCatalog()
	s, err := NewSealer(file, Header{ID: testID, First: 1}, catalog.AppendDictionary(nil), catalog)
	if err == nil {
		err = s.Add(randomUnits(t, rand.New(rand.NewPCG(1, 1)), 1, size))
	}
	if err == nil {
		_, err = s.Finish()
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := vfs.ReadFile(fs, "sealed.seg", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return fs, b
}

// Every single bit of a sealed segment is covered by the checksum of the part that it lies in.
func TestG7EveryBitOfASealedSegmentIsChecked(t *testing.T) {
	fs, b := sealedFile(t, 70<<10)
	if len(b) < 64<<10 {
		t.Fatalf("file of %d bytes", len(b))
	}
	r, err := OpenReader(fs, "sealed.seg", "sealed.seg")
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Footer(NewDecompressor())
	if err != nil {
		t.Fatal(err)
	}
	type part struct {
		from, to int64
		check    func() error
	}
	parts := []part{{0, HeaderBytes, func() error {
		_, err := DecodeHeader(b)
		return err
	}}}
	end := int64(len(b)) - TrailerBytes
	for pos := int64(HeaderBytes); pos < end; {
		h, err := DecodeFrameHeader(b[pos:])
		if err != nil {
			t.Fatal(err)
		}
		at := pos
		parts = append(parts, part{at, at + h.Size(), func() error {
			h, err := DecodeFrameHeader(b[at:end])
			if err != nil {
				return err
			}
			return testID.CheckFrame(b[at:end], &h, at)
		}})
		pos += h.Size()
	}
	parts = append(parts, part{end, int64(len(b)), func() error {
		_, err := testID.decodeTrailer(b[end:])
		return err
	}})
	if f.Pos <= HeaderBytes || len(parts) < 5 {
		t.Fatalf("%d parts, footer at %d", len(parts), f.Pos)
	}
	for _, p := range parts {
		if err := p.check(); err != nil {
			t.Fatalf("bytes %d to %d: %v", p.from, p.to, err)
		}
		for at := p.from; at < p.to; at++ {
			for bit := range 8 {
				b[at] ^= 1 << bit
				if p.check() == nil {
					t.Fatalf("bit %d of byte %d is not checked", bit, at)
				}
				b[at] ^= 1 << bit
			}
		}
	}
}

func TestBlockOfUnitsRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := changelog.Offset(rapid.Uint64Range(1, 1<<40).Draw(t, "first"))
		var raw []byte
		next := first
		for range rapid.IntRange(1, 30).Draw(t, "units") {
			var b changelog.UnitBuilder
			b.Reset(rapid.SampledFrom([]changelog.UnitKind{changelog.UnitTx, changelog.UnitCopy, changelog.UnitTick, changelog.UnitControl}).Draw(t, "kind"))
			if b.Meta.Kind != changelog.UnitTick {
				b.AddTag(changelog.Tag{Name: rapid.String().Draw(t, "tag"), Offset: 1})
			}
			if b.Meta.Kind == changelog.UnitTx {
				for range rapid.IntRange(0, 3).Draw(t, "messages") {
					b.Message(rapid.SliceOf(rapid.Byte()).Draw(t, "prefix"), rapid.SliceOf(rapid.Byte()).Draw(t, "content"))
				}
			}
			b.Meta.First = next
			b.Meta.Flags = rapid.SampledFrom([]byte{0, changelog.FlagSkew}).Draw(t, "flags")
			b.Meta.Source, b.Meta.Epoch = changelog.SourceID(rapid.IntRange(0, 3).Draw(t, "source")), changelog.Epoch(rapid.IntRange(0, 2).Draw(t, "epoch"))
			b.Meta.XID = rapid.Uint64().Draw(t, "xid")
			b.Meta.CommitTime, b.Meta.Clock = changelog.Micros(rapid.Int64().Draw(t, "time")), changelog.Micros(rapid.Int64().Draw(t, "clock"))
			b.Meta.Position = changelog.Position(rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "position"))
			var err error
			if raw, err = b.AppendUnit(raw); err != nil {
				t.Fatal(err)
			}
			next += changelog.Offset(b.Meta.Count)
		}
		var e ColumnEncoder
		e.Reset()
		for rest := raw; len(rest) > 0; {
			size := int(binary.LittleEndian.Uint32(rest)) + 4
			e.Add(rest[:size])
			rest = rest[size:]
		}
		var d ColumnDecoder
		got, err := d.AppendUnits(nil, e.AppendPayload(nil), first)
		if err != nil || !bytes.Equal(got, raw) {
			t.Fatalf("%d bytes become %d (%v)", len(raw), len(got), err)
		}
	})
}

func TestFooterRoundTrips(t *testing.T) {
	fs, b := sealedFile(t, 3<<20)
	r, err := OpenReader(fs, "sealed.seg", "sealed.seg")
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Footer(NewDecompressor())
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Blocks) < 3 || f.Blocks[0].Next() != f.Blocks[1].First || f.Next != f.Blocks[len(f.Blocks)-1].Next() {
		t.Fatalf("footer %+v", f)
	}
	if marks := f.Marks(); len(marks) != 1 || marks[0].Commit() != f.Next-1 {
		t.Fatalf("marks %+v", marks)
	}
	if err := r.CheckBody(f); err != nil {
		t.Fatal(err)
	}
	if len(b) == 0 || f.Original != [32]byte{} {
		t.Fatal("a segment from which nothing was erased has the hash of an original")
	}
}

func TestHeaderOfANewerFormatIsRefused(t *testing.T) {
	h := Header{ID: testID, Form: FormOpen, First: 1}
	b := h.Append(nil)
	got, err := DecodeHeader(b)
	if err != nil || got != h {
		t.Fatalf("%+v becomes %+v (%v)", h, got, err)
	}
	b[10] = Format + 1
	if _, err := DecodeHeader(b); !errors.Is(err, ErrFormat) {
		t.Fatalf("a header of a newer format: %v", err)
	}
}

func TestFrameLimitsHoldWhenWriting(t *testing.T) {
	c := NewCompressor(LevelFast)
	if _, err := c.AppendFrame(nil, FrameHeader{Type: FrameUnits}, make([]byte, MaxRawBytes+1)); !errors.Is(err, changelog.ErrTooLarge) {
		t.Fatal("a frame above the limit is written")
	}
}

// A dictionary holds all that a long life adds to the catalog: a segment that cannot begin with it would end all writing.
func TestDictionaryMayOutgrowTheUnitsOfAFrame(t *testing.T) {
	payload := make([]byte, MaxRawBytes+1)
	frame, err := NewCompressor(LevelFast).AppendFrame(nil, FrameHeader{Type: FrameDictionary}, payload)
	if err != nil {
		t.Fatal(err)
	}
	h, err := DecodeFrameHeader(frame)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := NewDecompressor().Payload(&h, frame, nil); err != nil || len(raw) != len(payload) {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
}

// A small stored payload that claims to be huge costs no memory before it is found out.
func TestPayloadThatGrowsBeyondItsFrameIsRefused(t *testing.T) {
	for _, level := range []Level{LevelFast, LevelSmall} {
		frame, err := NewCompressor(level).AppendFrame(nil, FrameHeader{Type: FrameUnits}, make([]byte, 32<<20))
		if err != nil {
			t.Fatal(err)
		}
		binary.LittleEndian.PutUint32(frame[12:], uint32(len(frame))) // at least what is stored
		testID.Seal(frame, HeaderBytes, 0)
		h, err := DecodeFrameHeader(frame)
		if err == nil {
			err = testID.CheckFrame(frame, &h, HeaderBytes)
		}
		if err != nil {
			t.Fatal(err)
		}
		d := NewDecompressor()
		if allocated := testing.AllocsPerRun(1, func() { _, err = d.Payload(&h, frame, nil) }); !errors.Is(err, ErrFormat) || allocated > 100 {
			t.Fatalf("%s: payload of 32 MiB in a frame of %d bytes: %v", h.Codec, h.Raw, err)
		}
	}
}

func TestPayloadRoundTripsThroughEveryCodec(t *testing.T) {
	text := bytes.Repeat([]byte("what repeats is stored once, "), 5000)
	for _, level := range []Level{LevelFast, LevelSmall} {
		for _, size := range []int{0, 1, rawBelowBytes, len(text)} {
			frame, err := NewCompressor(level).AppendFrame([]byte("before"), FrameHeader{Type: FrameUnits}, text[:size])
			if err != nil {
				t.Fatal(err)
			}
			frame = frame[len("before"):]
			h, err := DecodeFrameHeader(frame)
			if err != nil {
				t.Fatal(err)
			}
			if size == len(text) && (h.Codec == CodecRaw || int(h.Stored) > size/10) {
				t.Errorf("level %d stores %d bytes as %d (%s)", level, size, h.Stored, h.Codec)
			}
			got, err := NewDecompressor().Payload(&h, frame, make([]byte, 3))
			if err != nil || !bytes.Equal(got, text[:size]) {
				t.Fatalf("level %d, %d bytes: %d come back, %v", level, size, len(got), err)
			}
		}
	}
}

func FuzzFrame(f *testing.F) {
	c := NewCompressor(LevelFast)
	for _, size := range []int{0, 10, 5000} {
		frame, err := c.AppendFrame(nil, FrameHeader{Type: FrameBlock, First: 1, Count: 2}, make([]byte, size))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
	var e ColumnEncoder
	e.Reset()
	units := randomUnits(f, rand.New(rand.NewPCG(3, 3)), 1, 2000)
	for len(units) > 0 {
		size := int(binary.LittleEndian.Uint32(units)) + 4
		e.Add(units[:size])
		units = units[size:]
	}
	frame, err := NewCompressor(LevelSmall).AppendFrame(nil, FrameHeader{Type: FrameBlock, First: 1, Count: 2}, e.AppendPayload(nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	d := NewDecompressor()
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, err := DecodeFrameHeader(frame)
		if err != nil || h.Size() > int64(len(frame)) || h.Raw > 1<<22 {
			return
		}
		testID.Seal(frame[:h.Size()], HeaderBytes, 0)
		if h, err = DecodeFrameHeader(frame); err == nil {
			err = testID.CheckFrame(frame, &h, HeaderBytes)
		}
		if err != nil {
			t.Fatalf("a frame with its own checksum: %v", err)
		}
		payload, err := d.Payload(&h, frame, nil)
		if err != nil {
			return
		}
		var columns ColumnDecoder
		if raw, err := columns.AppendUnits(nil, payload, h.First); err == nil && len(raw) > MaxRawBytes {
			t.Fatalf("%d bytes of units", len(raw))
		}
		if footer, err := DecodeFooter(payload); err == nil && !bytes.Equal(footer.Append(nil), payload) {
			again, err := DecodeFooter(footer.Append(nil))
			if err != nil || again.Next != footer.Next || len(again.Blocks) != len(footer.Blocks) {
				t.Fatalf("footer does not round trip: %v", err)
			}
		}
	})
}

func FuzzOpenSegment(f *testing.F) {
	_, b := sealedFile(f, 1000)
	f.Add(b)
	h := Header{ID: testID, Form: FormOpen, First: 1}
	open := h.Append(nil)
	frame, err := NewCompressor(LevelFast).AppendFrame(nil, FrameHeader{Type: FrameUnits, First: 1, Count: 2}, randomUnits(f, rand.New(rand.NewPCG(2, 2)), 1, 600))
	if err != nil {
		f.Fatal(err)
	}
	testID.Seal(frame, HeaderBytes, 0)
	f.Add(append(open, frame...))
	d := NewDecompressor()
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := vfs.NewMem()
		file, err := fs.Create("f")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(file, "f")
		if err != nil {
			var corrupt *changelog.CorruptError
			if !errors.As(err, &corrupt) {
				t.Fatalf("open: %v", err)
			}
			return
		}
		if footer, err := r.Footer(d); err == nil {
			_ = r.CheckBody(footer)
		}
		for pos := int64(HeaderBytes); ; {
			h, frame, err := r.Frame(pos, int64(len(b)))
			if err != nil {
				break
			}
			_, _ = d.Payload(&h, frame, nil)
			pos += h.Size()
		}
		if _, _, err := FindProof(file, r.Header.ID, HeaderBytes, int64(len(b))); err != nil {
			t.Fatal(err)
		}
	})
}
