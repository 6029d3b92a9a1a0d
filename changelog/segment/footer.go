package segment

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"cdc/changelog"
	"cdc/schema"
)

// Footer is the index of a sealed segment. It lies in the last frame; the trailer behind it says where.
type Footer struct {
	// First and Next bound the segment's offsets: [First, Next).
	First, Next changelog.Offset
	// Body is the SHA-256 of the file up to the footer's frame. The header, which holds the hash of the footer before, is part of
	// it: so the segments form a chain.
	Body [32]byte
	// Original is the body's hash before records were erased from it, zero when none were.
	Original [32]byte
	// Sides are the side segments that units of the segment name, ascending.
	Sides  []uint64
	Blocks []Block

	// Pos is the place of the footer's frame, Hash the SHA-256 of its payload. They are not stored in it.
	Pos  int64
	Hash [32]byte
}

// Marks are the last units of each source and epoch in the whole segment.
func (f *Footer) Marks() Marks {
	var all Marks
	for i := range f.Blocks {
		all.AddAll(f.Blocks[i].Last)
	}
	return all
}

// footerVersion is the version of the payload. Stored; a change of it takes the next number.
const footerVersion = 1

// Append encodes the payload and appends it to dst.
func (f *Footer) Append(dst []byte) []byte {
	e := encoder{dst}
	e.uint(footerVersion)
	e.uint(uint64(f.First))
	e.uint(uint64(f.Next))
	e.b = append(append(e.b, f.Body[:]...), f.Original[:]...)
	e.uint(uint64(len(f.Sides)))
	last := uint64(0)
	for _, id := range f.Sides {
		e.uint(id - last)
		last = id
	}
	e.uint(uint64(len(f.Blocks)))
	pos := int64(0)
	for i := range f.Blocks {
		b := &f.Blocks[i]
		e.uint(uint64(b.Pos - pos))
		pos = b.Pos
		e.uint(b.Count)
		e.tables(b.Tables)
		e.marks(b)
	}
	return e.b
}

// encoder appends numbers as uvarints.
type encoder struct{ b []byte }

func (e *encoder) uint(v uint64) { e.b = binary.AppendUvarint(e.b, v) }

func (e *encoder) int(v int64) { e.b = binary.AppendVarint(e.b, v) }

// tables appends 0 when the tables are not known, else their number and one more.
func (e *encoder) tables(ids []schema.TableID) {
	if ids == nil {
		e.uint(0)
		return
	}
	e.uint(uint64(len(ids)) + 1)
	last := schema.TableID(0)
	for _, id := range ids {
		e.uint(uint64(id - last))
		last = id
	}
}

func (e *encoder) marks(b *Block) {
	e.uint(uint64(len(b.Last)))
	for i := range b.Last {
		m := &b.Last[i]
		e.b = append(e.b, byte(m.Kind), m.Flags)
		e.uint(uint64(m.Source))
		e.uint(uint64(m.Epoch))
		e.uint(uint64(m.First - b.First))
		e.uint(m.Count)
		e.uint(m.XID)
		e.int(int64(m.CommitTime))
		e.int(int64(m.Clock))
		e.uint(uint64(len(m.Position)))
		e.b = append(e.b, m.Position...)
	}
}

// Limits of what a footer may claim to hold.
const (
	maxBlocks = 1 << 20
	maxTables = 1 << 20
	maxMarks  = 1 << 16
	maxSides  = 1 << 24
)

// DecodeFooter reads a payload.
func DecodeFooter(b []byte) (*Footer, error) {
	d := decoder{b: b}
	if v := d.uint(1<<64 - 1); d.err == nil && v != footerVersion {
		return nil, fmt.Errorf("%w: footer version %d, this build reads %d", ErrFormat, v, footerVersion)
	}
	f := &Footer{Hash: sha256.Sum256(b)}
	f.First, f.Next = changelog.Offset(d.uint(1<<63)), changelog.Offset(d.uint(1<<63))
	copy(f.Body[:], d.take(32))
	copy(f.Original[:], d.take(32))
	last := uint64(0)
	for n := d.uint(maxSides); n > 0 && d.err == nil; n-- {
		last += d.uint(1 << 63)
		f.Sides = append(f.Sides, last)
	}
	first, pos := f.First, int64(0)
	for n := d.uint(maxBlocks); n > 0 && d.err == nil; n-- {
		pos += int64(d.uint(1 << 48))
		b := Block{Pos: pos, First: first, Count: d.uint(1 << 62)}
		b.Tables = d.tables()
		b.Last = d.marks(first)
		first = b.Next()
		f.Blocks = append(f.Blocks, b)
	}
	switch {
	case d.err != nil:
		return nil, d.err
	case len(d.b) != 0:
		return nil, fmt.Errorf("%w: %d bytes after the footer", ErrFormat, len(d.b))
	case first != f.Next:
		return nil, fmt.Errorf("%w: blocks end at offset %d, the footer says %d", ErrFormat, first, f.Next)
	}
	return f, nil
}

// decoder reads what encoder wrote; its first error sticks.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrFormat, what)
	}
	d.b = nil
}

func (d *decoder) uint(most uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > most {
		d.fail("number out of range")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail("number out of range")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail("bytes end early")
		return nil
	}
	head := d.b[:n]
	d.b = d.b[n:]
	return head
}

func (d *decoder) tables() []schema.TableID {
	n := d.uint(maxTables)
	if n == 0 {
		return nil
	}
	n--
	ids := make([]schema.TableID, 0, min(n, 64))
	for last := schema.TableID(0); n > 0 && d.err == nil; n-- {
		last += schema.TableID(d.uint(1<<32 - 1))
		ids = append(ids, last)
	}
	return ids
}

func (d *decoder) marks(first changelog.Offset) Marks {
	n := d.uint(maxMarks)
	var marks Marks
	for ; n > 0 && d.err == nil; n-- {
		var m changelog.UnitMeta
		if b := d.take(2); b != nil {
			m.Kind, m.Flags = changelog.UnitKind(b[0]), b[1]
		}
		m.Source, m.Epoch = changelog.SourceID(d.uint(1<<16-1)), changelog.Epoch(d.uint(1<<32-1))
		m.First, m.Count = first+changelog.Offset(d.uint(1<<62)), d.uint(1<<62)
		m.XID = d.uint(1<<64 - 1)
		m.CommitTime, m.Clock = changelog.Micros(d.int()), changelog.Micros(d.int())
		m.Position = changelog.Position(d.take(d.uint(changelog.MaxPositionBytes)))
		marks = append(marks, m)
	}
	return marks
}

// The trailer is the last TrailerBytes of a sealed segment:
//
//	 0 u64 place of the footer's frame   8 u64 zero   16 u32 zero
//	20 u32 CRC32C of the file's seed and bytes 0 to 19   24 8 magic
//
// Stored; do not change it.
const (
	TrailerBytes = 32
	trailerMagic = "CDCEND1\n"
)

// AppendTrailer appends the trailer of a file whose footer lies at pos.
func (id ID) AppendTrailer(dst []byte, pos int64) []byte {
	var b [TrailerBytes]byte
	binary.LittleEndian.PutUint64(b[:], uint64(pos))
	binary.LittleEndian.PutUint32(b[20:], crc32.Update(id.seed(), castagnoli, b[:20]))
	copy(b[24:], trailerMagic)
	return append(dst, b[:]...)
}

// decodeTrailer is the place of the footer.
func (id ID) decodeTrailer(b []byte) (int64, error) {
	if len(b) != TrailerBytes || string(b[24:]) != trailerMagic {
		return 0, fmt.Errorf("%w: no trailer", ErrFormat)
	}
	if binary.LittleEndian.Uint32(b[20:]) != crc32.Update(id.seed(), castagnoli, b[:20]) {
		return 0, fmt.Errorf("%w: trailer has a wrong checksum", ErrFormat)
	}
	pos := binary.LittleEndian.Uint64(b)
	if pos < HeaderBytes || pos > 1<<48 {
		return 0, fmt.Errorf("%w: footer at byte %d", ErrFormat, pos)
	}
	return int64(pos), nil
}

// Footer reads the footer of a sealed segment.
func (r *Reader) Footer(d *Decompressor) (*Footer, error) {
	size, err := r.Size()
	if err != nil {
		return nil, r.corrupt(0, 0, err)
	}
	at := size - TrailerBytes
	trailer, err := r.bytes(at, TrailerBytes, size)
	if err != nil {
		return nil, r.corrupt(at, 0, err)
	}
	pos, err := r.Header.ID.decodeTrailer(trailer)
	if err != nil {
		return nil, r.corrupt(at, 0, err)
	}
	h, frame, err := r.Frame(pos, at)
	if err != nil {
		return nil, err
	}
	f, err := r.decodeFooter(d, &h, frame)
	if err == nil && (pos+h.Size() != at || f.First != r.Header.First || h.First != f.First || h.Next() != f.Next) {
		err = fmt.Errorf("%w: footer is of another file", ErrFormat)
	}
	if err != nil {
		return nil, r.corrupt(pos, 0, err)
	}
	f.Pos = pos
	return f, nil
}

func (r *Reader) decodeFooter(d *Decompressor, h *FrameHeader, frame []byte) (*Footer, error) {
	if h.Type != FrameFooter {
		return nil, fmt.Errorf("%w: a %s frame instead of the footer", ErrFormat, h.Type)
	}
	payload, err := d.Payload(h, frame, nil)
	if err != nil {
		return nil, err
	}
	return DecodeFooter(payload)
}
