package segment

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"cdc/changelog"
)

// Compressor makes frames. It is for one goroutine.
type Compressor struct {
	encoder *zstd.Encoder // nil for S2
}

// Level chooses between speed and size.
type Level int

// Levels: LevelFast (S2) while data comes in, which compressing must not hold up, and LevelSmall (zstd) when a segment is sealed.
const (
	LevelFast Level = iota
	LevelSmall
)

// NewCompressor makes a compressor.
func NewCompressor(level Level) *Compressor {
	if level == LevelFast {
		return &Compressor{}
	}
	// The options are constants that the library accepts, so that there is no error to return.
	encoder, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(windowBytes))
	return &Compressor{encoder: encoder}
}

// windowBytes is how far back the compressor looks, and what decompressing costs in memory at least.
const windowBytes = 1 << 20

// AppendFrame appends a whole padded frame to dst. Stored, Raw, Codec, Synced and CRC are filled in here and by ID.Seal, which
// must be called when the frame's place is known.
func (c *Compressor) AppendFrame(dst []byte, h FrameHeader, payload []byte) ([]byte, error) {
	if uint64(len(payload)) > uint64(h.Type.maxRaw()) {
		return dst, fmt.Errorf("encode %s frame: %d bytes, more than %d: %w", h.Type, len(payload), h.Type.maxRaw(), changelog.ErrTooLarge)
	}
	start := len(dst)
	dst = append(dst, make([]byte, FrameHeaderBytes)...)
	h.Codec = CodecRaw
	if len(payload) >= rawBelowBytes {
		dst, h.Codec = c.compress(dst, payload)
		if len(dst)-start-FrameHeaderBytes >= len(payload) {
			dst, h.Codec = dst[:start+FrameHeaderBytes], CodecRaw
		}
	}
	if h.Codec == CodecRaw {
		dst = append(dst, payload...)
	}
	stored := len(dst) - start - FrameHeaderBytes
	b, le := dst[start:], binary.LittleEndian
	le.PutUint32(b, uint32(stored))
	b[8], b[9] = byte(h.Type), byte(h.Codec)
	le.PutUint32(b[12:], uint32(len(payload)))
	le.PutUint64(b[16:], uint64(h.First))
	le.PutUint64(b[24:], h.Count)
	le.PutUint32(b[40:], h.Units)
	var zeros [alignment]byte
	size := int64(len(dst) - start)
	return append(dst, zeros[:Padded(size)-size]...), nil
}

func (c *Compressor) compress(dst, payload []byte) ([]byte, Codec) {
	if c.encoder != nil {
		return c.encoder.EncodeAll(payload, dst), CodecZstd
	}
	at, most := len(dst), s2.MaxEncodedLen(len(payload)) // payload is bounded, so that most is not negative
	dst = slices.Grow(dst, most)
	out := s2.Encode(dst[at:at+most], payload)
	return dst[:at+len(out)], CodecS2
}

// Decompressor reads payloads. It is safe for concurrent use.
type Decompressor struct{ decoder *zstd.Decoder }

// NewDecompressor makes a decompressor.
func NewDecompressor() *Decompressor {
	// The options are constants that the library accepts, so that there is no error to return.
	decoder, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(MaxChunkBytes), zstd.WithDecoderLowmem(true))
	return &Decompressor{decoder: decoder}
}

// Payload is the payload of a frame that CheckFrame has accepted. It shares the frame's memory when it is stored raw, and is else
// written over buf, which is grown as needed.
func (d *Decompressor) Payload(h *FrameHeader, frame, buf []byte) ([]byte, error) {
	stored := frame[FrameHeaderBytes : FrameHeaderBytes+int(h.Stored)]
	if h.Codec == CodecRaw {
		return stored, nil
	}
	if h.Codec == CodecS2 {
		return decodeS2(h, stored, buf)
	}
	// Frames say their size twice, and it is compared before memory is taken for it.
	var inner zstd.Header
	if err := inner.Decode(stored); err != nil {
		return nil, fmt.Errorf("%w: compressed payload: %w", ErrFormat, err)
	}
	if !inner.HasFCS || inner.FrameContentSize != uint64(h.Raw) {
		return nil, fmt.Errorf("%w: compressed payload of %d bytes, its frame says %d", ErrFormat, inner.FrameContentSize, h.Raw)
	}
	if cap(buf) < int(h.Raw) {
		buf = make([]byte, 0, h.Raw)
	}
	raw, err := d.decoder.DecodeAll(stored, buf[:0])
	if err != nil {
		return nil, fmt.Errorf("%w: decompress: %w", ErrFormat, err)
	}
	if len(raw) != int(h.Raw) {
		return nil, fmt.Errorf("%w: payload of %d bytes, its frame says %d", ErrFormat, len(raw), h.Raw)
	}
	return raw, nil
}

func decodeS2(h *FrameHeader, stored, buf []byte) ([]byte, error) {
	size, err := s2.DecodedLen(stored)
	if err != nil || size != int(h.Raw) {
		return nil, fmt.Errorf("%w: compressed payload of %d bytes, its frame says %d", ErrFormat, size, h.Raw)
	}
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	raw, err := s2.Decode(buf[:size], stored)
	if err != nil {
		return nil, fmt.Errorf("%w: decompress: %w", ErrFormat, err)
	}
	return raw, nil
}
