package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"cdc/changelog"
)

// ErrFormat is the cause of every error about bytes that are not what this package writes.
var ErrFormat = errors.New("bytes are not a segment")

// The first eight bytes of a file. Stored; do not change them.
const (
	mainMagic = "CDCLOG1\n"
	sideMagic = "CDCSIDE\n"
)

// Form says how the units of a file are laid out. The numbers are stored; do not change them.
type Form uint8

// Forms of a file. A side file has the open form.
const (
	FormOpen   Form = 1
	FormSealed Form = 2
)

// Header is the first HeaderBytes of a file:
//
//	 0  8 magic            8 u16 format   10 u16 min reader   12 u8 form   13 3 zero
//	16 16 log id          32 u64 number   40 u64 first offset   48 i64 created
//	56 32 SHA-256 of the previous segment's footer, zero in the open form and in a side file
//	88 36 zero           124 u32 CRC32C of bytes 0 to 123
type Header struct {
	ID    ID
	Form  Form
	First changelog.Offset
	// Created is when the file was made, by the clock of the machine; nothing depends on it.
	Created changelog.Micros
	// Previous is the hash of the footer of the segment before, in a sealed segment.
	Previous [32]byte
}

// Append encodes the header and appends it to dst.
func (h *Header) Append(dst []byte) []byte {
	var b [HeaderBytes]byte
	le := binary.LittleEndian
	copy(b[:], magicOf(h.ID.Kind))
	le.PutUint16(b[8:], Format)
	le.PutUint16(b[10:], MinReader)
	b[12] = byte(h.Form)
	copy(b[16:], h.ID.Log[:])
	le.PutUint64(b[32:], h.ID.Number)
	le.PutUint64(b[40:], uint64(h.First))
	le.PutUint64(b[48:], uint64(h.Created))
	copy(b[56:], h.Previous[:])
	le.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli))
	return append(dst, b[:]...)
}

// DecodeHeader reads a header.
func DecodeHeader(b []byte) (Header, error) {
	if len(b) < HeaderBytes {
		return Header{}, fmt.Errorf("%w: header of %d bytes", ErrFormat, len(b))
	}
	le := binary.LittleEndian
	h := Header{Form: Form(b[12]), First: changelog.Offset(le.Uint64(b[40:])), Created: changelog.Micros(le.Uint64(b[48:]))}
	h.ID = ID{Log: [16]byte(b[16:]), Number: le.Uint64(b[32:])}
	h.Previous = [32]byte(b[56:])
	switch string(b[:8]) {
	case mainMagic:
		h.ID.Kind = KindMain
	case sideMagic:
		h.ID.Kind = KindSide
	default:
		return Header{}, fmt.Errorf("%w: its first bytes are %q", ErrFormat, b[:8])
	}
	if got, want := crc32.Checksum(b[:124], castagnoli), le.Uint32(b[124:]); got != want {
		return Header{}, fmt.Errorf("%w: header has checksum %08x, not %08x", ErrFormat, got, want)
	}
	if least := le.Uint16(b[10:]); least > Format {
		return Header{}, fmt.Errorf("%w: format %d needs a reader of format %d, this one reads %d", ErrFormat, le.Uint16(b[8:]), least, Format)
	}
	if h.Form != FormOpen && h.Form != FormSealed {
		return Header{}, fmt.Errorf("%w: unknown form %d", ErrFormat, h.Form)
	}
	return h, nil
}

func magicOf(k Kind) string {
	if k == KindSide {
		return sideMagic
	}
	return mainMagic
}
