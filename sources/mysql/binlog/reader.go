package binlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// Errors that callers tell apart. None of them goes away by reading the same bytes again.
var (
	// ErrMalformed is the cause of every error about bytes that are not what they should be.
	ErrMalformed = errors.New("malformed")
	// ErrChecksum says that an event's bytes are not those that the server wrote.
	ErrChecksum = errors.New("checksum mismatch")
	// ErrTooLarge says that something is well-formed as far as it was read, but larger than a bound.
	ErrTooLarge = errors.New("larger than the limit")
	// ErrUnsupported says that something is well-formed but not known here.
	ErrUnsupported = errors.New("unsupported")
)

// reader reads bytes from front to back. Its first failure sticks: what is read afterwards is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) fail() {
	r.bad, r.b = true, nil
}

// take is the next n bytes.
func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	head := r.b[:n:n]
	r.b = r.b[n:]
	return head
}

// rest is all that is left.
func (r *reader) rest() []byte {
	return r.take(len(r.b))
}

func (r *reader) u8() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// u48 is an integer of six bytes: the id of a table.
func (r *reader) u48() uint64 {
	if b := r.take(6); b != nil {
		return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint16(b[4:]))<<32
	}
	return 0
}

// u56 is an integer of seven bytes: a commit timestamp.
func (r *reader) u56() uint64 {
	if b := r.take(7); b != nil {
		return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[3:]))>>8<<32
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// packed is a length-encoded integer ("packed integer", net_field_length_ll of the server). 251 stands for NULL and 255 for an
// error in the protocol; neither belongs into an event.
func (r *reader) packed() uint64 {
	switch first := r.u8(); first {
	case 251, 255:
		r.fail()
		return 0
	case 252:
		return uint64(r.u16())
	case 253:
		if b := r.take(3); b != nil {
			return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16
		}
		return 0
	case 254:
		return r.u64()
	default:
		return uint64(first)
	}
}

// packedBytes is a length-encoded string.
func (r *reader) packedBytes() []byte {
	return r.sized(r.packed())
}

// sized is the next n bytes, for an n that comes from the wire.
func (r *reader) sized(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	return r.take(int(n))
}

// varint is an unsigned integer of mysql::serialization: as many trailing ones in the first byte as bytes follow it, then a zero
// unless there are eight, then the number (mysql-server, libs/mysql/serialization/readme.md).
func (r *reader) varint() uint64 {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	follow := bits.TrailingZeros8(^r.b[0])
	b := r.take(follow + 1)
	if b == nil {
		return 0
	}
	if follow == 8 {
		return binary.LittleEndian.Uint64(b[1:])
	}
	var whole [8]byte
	copy(whole[:], b)
	return binary.LittleEndian.Uint64(whole[:]) >> (follow + 1)
}

// signedVarint is a signed one: its lowest bit is the sign.
func (r *reader) signedVarint() int64 {
	v := r.varint()
	return int64(v>>1) ^ -int64(v&1)
}

// text is a string that a zero byte ends.
func (r *reader) text() []byte {
	end := bytes.IndexByte(r.b, 0)
	if end < 0 {
		r.fail()
		return nil
	}
	head := r.take(end)
	r.u8()
	return head
}

// err is the error of an event that was not read to where its fields end. More bytes than fields are no error, except where end
// says so: servers add fields.
func (r *reader) err(t Type) error {
	if r.bad {
		return fmt.Errorf("read %s event: %w", t, ErrMalformed)
	}
	return nil
}

// end is err for an event that has nothing after its fields.
func (r *reader) end(t Type) error {
	if len(r.b) != 0 {
		r.fail()
	}
	return r.err(t)
}
