// Package segment is the form of one file of the log: a header, then checksummed frames.
//
// A file is in one of two forms. In the open form it grows at its end, a frame for each group of units that became durable
// together. In the sealed form the same units lie in larger blocks, better compressed, with a footer that says where everything
// is. A side file holds the changes of one large transaction in frames of the same kind. The bytes are described in
// docs/formats/segment.md.
//
// Every frame is checked before anything in it is believed: its checksum is seeded with the log's identity, the file's number and
// the frame's place, so that a block of another file, or of another place in this one, is damage and not data.
package segment

import (
	"encoding/binary"
	"hash/crc32"
)

// Format is the version of the format that this package writes, MinReader the oldest reader that understands it, both stored in
// every file. A reader refuses a file whose MinReader is above its own Format.
const (
	Format    = 1
	MinReader = 1
)

// Sizes of the format. Stored; do not change them.
const (
	HeaderBytes      = 128
	FrameHeaderBytes = 48
	alignment        = 8
)

// Limits, checked when writing and when reading.
const (
	// MaxRawBytes bounds a frame before compression: the largest unit on top of the largest group.
	MaxRawBytes = 64 << 20
	// MaxChunkBytes bounds a frame of a side file before compression, which holds one change that a source can send, and a
	// dictionary, which grows with the log: one that did not fit would end all writing.
	MaxChunkBytes = 1<<31 - 1<<16
	// rawBelowBytes is the size under which frames are not worth compressing.
	rawBelowBytes = 512
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Kind says what a file holds. It is part of every checksum. Stored; do not change it.
type Kind byte

// Kinds of files.
const (
	KindMain Kind = 'M'
	KindSide Kind = 'S'
)

// ID is what the checksums of a file are seeded with: the log, the kind of the file, and its number.
type ID struct {
	Log    [16]byte
	Kind   Kind
	Number uint64
}

// seed is the checksum of what every frame of the file shares.
func (id ID) seed() uint32 {
	var b [25]byte
	copy(b[:], id.Log[:])
	b[16] = byte(id.Kind)
	binary.LittleEndian.PutUint64(b[17:], id.Number)
	return addShort(0, b[:])
}

// addShort adds to a checksum a few bytes that stay on the stack: crc32.Update would move them to the heap, for each frame read or written.
func addShort(sum uint32, b []byte) uint32 {
	sum = ^sum
	for _, c := range b {
		sum = castagnoli[byte(sum)^c] ^ sum>>8
	}
	return ^sum
}

// Padded is n rounded up to the alignment of frames.
func Padded(n int64) int64 { return (n + alignment - 1) &^ (alignment - 1) }
