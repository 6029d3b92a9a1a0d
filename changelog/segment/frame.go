package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"cdc/changelog"
)

// FrameType says what a frame holds. The numbers are stored; do not change them.
type FrameType uint8

// Types of frames.
const (
	FrameUnits      FrameType = 1 // units that became durable together, in the open form
	FrameDictionary FrameType = 2 // the catalog at the segment's first offset
	FrameFooter     FrameType = 3 // the index of a sealed segment
	FramePad        FrameType = 4 // nothing
	FrameBlock      FrameType = 5 // units in columns, in the sealed form
	FrameChunk      FrameType = 6 // a piece of a change section, in a side file
)

// String is the type's name in messages and dumps.
func (t FrameType) String() string {
	switch t {
	case FrameUnits:
		return "units"
	case FrameDictionary:
		return "dictionary"
	case FrameFooter:
		return "footer"
	case FramePad:
		return "pad"
	case FrameBlock:
		return "block"
	case FrameChunk:
		return "chunk"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Codec says how a payload is compressed. The numbers are stored; do not change them.
type Codec uint8

// Codecs.
const (
	CodecRaw  Codec = 0
	CodecZstd Codec = 1
	CodecS2   Codec = 2 // an extension of Snappy: a fraction of the time, and larger
)

// String is the codec's name in dumps.
func (c Codec) String() string {
	switch c {
	case CodecRaw:
		return "raw"
	case CodecZstd:
		return "zstd"
	case CodecS2:
		return "s2"
	}
	return "unknown"
}

// FrameHeader is the fixed part of a frame, whose payload follows:
//
//	 0 u32 bytes of the payload as stored    4 u32 CRC32C
//	 8 u8  type   9 u8 codec   10 u16 zero   12 u32 bytes of the payload before compression
//	16 u64 first offset   24 u64 count of offsets (of changes in a side file)
//	32 u64 bytes of the file known to be durable when the frame was written
//	40 u32 number of units   44 u32 zero
//	48 payload, then zeros up to the next multiple of 8
//
// The checksum covers the seed of the file's ID, the frame's place in the file, bytes 0 to 3, and everything from byte 8 on, the
// zeros included.
type FrameHeader struct {
	Type   FrameType
	Codec  Codec
	Stored uint32
	Raw    uint32
	CRC    uint32
	First  changelog.Offset
	Count  uint64
	// Synced is how many bytes of the file were known to be durable when the frame was written: a frame that cannot be read
	// before that place is damage, not a torn write.
	Synced uint64
	Units  uint32
}

// Size is the bytes that the frame takes in the file.
func (h *FrameHeader) Size() int64 { return Padded(FrameHeaderBytes + int64(h.Stored)) }

// Next is the first offset after the frame.
func (h *FrameHeader) Next() changelog.Offset { return h.First + changelog.Offset(h.Count) }

// maxRaw is the limit on the payload of a frame of the type.
func (t FrameType) maxRaw() uint32 {
	if t == FrameChunk || t == FrameDictionary {
		return MaxChunkBytes
	}
	return MaxRawBytes
}

// DecodeFrameHeader reads the fixed part of a frame and checks its fields against each other. It is not to be believed before
// CheckFrame.
func DecodeFrameHeader(b []byte) (FrameHeader, error) {
	if len(b) < FrameHeaderBytes {
		return FrameHeader{}, fmt.Errorf("%w: frame header of %d bytes", ErrFormat, len(b))
	}
	le := binary.LittleEndian
	h := FrameHeader{
		Stored: le.Uint32(b), CRC: le.Uint32(b[4:]), Type: FrameType(b[8]), Codec: Codec(b[9]), Raw: le.Uint32(b[12:]),
		First: changelog.Offset(le.Uint64(b[16:])), Count: le.Uint64(b[24:]), Synced: le.Uint64(b[32:]), Units: le.Uint32(b[40:]),
	}
	switch {
	case h.Type < FrameUnits || h.Type > FrameChunk:
		return h, fmt.Errorf("%w: unknown frame type %d", ErrFormat, b[8])
	case h.Codec > CodecS2:
		return h, fmt.Errorf("%w: unknown codec %d", ErrFormat, b[9])
	case b[10]|b[11]|b[44]|b[45]|b[46]|b[47] != 0:
		return h, fmt.Errorf("%w: unknown bits in a frame header", ErrFormat)
	case h.Raw > h.Type.maxRaw() || h.Stored > h.Raw:
		return h, fmt.Errorf("%w: frame of %d bytes stored and %d raw", ErrFormat, h.Stored, h.Raw)
	case h.Codec == CodecRaw && h.Stored != h.Raw:
		return h, fmt.Errorf("%w: uncompressed frame of %d and %d bytes", ErrFormat, h.Stored, h.Raw)
	}
	return h, nil
}

// CheckFrame checks the checksum of a whole frame that lies at pos.
func (id ID) CheckFrame(frame []byte, h *FrameHeader, pos int64) error {
	end := h.Size()
	if int64(len(frame)) < end {
		return fmt.Errorf("%w: frame of %d bytes is cut at %d", ErrFormat, end, len(frame))
	}
	if got := id.frameCRC(frame[:end], pos); got != h.CRC {
		return fmt.Errorf("%w: frame has checksum %08x, not %08x", ErrFormat, got, h.CRC)
	}
	return nil
}

// frameCRC is the checksum of a whole frame that lies at pos.
func (id ID) frameCRC(frame []byte, pos int64) uint32 {
	var place [12]byte
	binary.LittleEndian.PutUint64(place[:], uint64(pos))
	copy(place[8:], frame[:4])
	return crc32.Update(addShort(id.seed(), place[:]), castagnoli, frame[8:])
}

// Seal fixes the place of a frame, which is all that AppendFrame appended: its checksum depends on it, and on what is durable at that time.
func (id ID) Seal(frame []byte, pos int64, synced uint64) {
	le := binary.LittleEndian
	le.PutUint64(frame[32:], synced)
	le.PutUint32(frame[4:], id.frameCRC(frame, pos))
}
