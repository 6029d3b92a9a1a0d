package value

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"fmt"
	"io"
)

var errZip = fmt.Errorf("%w: a compressed value is damaged", ErrImage)

// A value of a COMPRESSED column of MariaDB begins with a byte that says how it is compressed (sql/field_comp.cc): nothing for zero,
// else the method in the high four bits, of which zlib is the only one, a flag for deflate without zlib's header and checksum, and
// in the low three bits how many bytes of the value's length follow, highest first.
const (
	zipMethodShift = 4
	zipMethodZlib  = 8
	zipRaw         = 8
	zipLengthMask  = 7
	zipLengthMax   = 4
)

// inflater expands compressed values into a buffer of its own.
type inflater struct {
	source bytes.Reader
	raw    io.ReadCloser
	zlib   io.ReadCloser
	out    bytes.Buffer
}

// zipped sets column i to a compressed value.
func (d *Decoder) zipped(f *field, i int, v []byte) error {
	plain, err := d.scratch.inflate.expand(v)
	if err != nil {
		return err
	}
	if f.cs != nil {
		return setText(&d.builder, i, f.cs, plain)
	}
	d.builder.Bytes(i, plain)
	return nil
}

// expand returns the value; it is valid until the next call.
func (z *inflater) expand(v []byte) ([]byte, error) {
	if len(v) == 0 || v[0] == 0 {
		return v[min(1, len(v)):], nil
	}
	head := int(v[0] & zipLengthMask)
	if v[0]>>zipMethodShift != zipMethodZlib || head < 1 || head > zipLengthMax || len(v) < 1+head {
		return nil, errZip
	}
	length := int64(bigUint(v[1 : 1+head]))
	z.source.Reset(v[1+head:])
	r, err := z.reader(v[0]&zipRaw != 0)
	if err != nil {
		return nil, errZip
	}
	// The buffer grows with what comes out, not with what the length promises, and one byte more would show that there is more.
	z.out.Reset()
	n, err := z.out.ReadFrom(io.LimitReader(r, length+1))
	if err != nil || n != length {
		return nil, errZip
	}
	return z.out.Bytes(), nil
}

func (z *inflater) reader(raw bool) (io.Reader, error) {
	if raw {
		if z.raw == nil {
			z.raw = flate.NewReader(&z.source)
			return z.raw, nil
		}
		return z.raw, z.raw.(flate.Resetter).Reset(&z.source, nil)
	}
	if z.zlib == nil {
		var err error
		z.zlib, err = zlib.NewReader(&z.source)
		return z.zlib, err
	}
	return z.zlib, z.zlib.(zlib.Resetter).Reset(&z.source, nil)
}
