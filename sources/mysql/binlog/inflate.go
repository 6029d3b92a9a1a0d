package binlog

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
)

// inflatedBytesMax is how large the parts of MariaDB's compressed events may be by default. A server compresses a single event,
// whose size its replicas' max_allowed_packet bounds to 1 GiB at most; that much is for those who ask for it.
const inflatedBytesMax = 256 << 20

// inflateStepBytes is how much room is made at once: it grows as bytes come out, never by what the event claims.
const inflateStepBytes = 64 << 10

// Inflater undoes the compression of MariaDB's QUERY_COMPRESSED and compressed row events. The zero value is ready; it keeps its
// buffers for the next event, so what came out of it is valid until it is used again. It must not be used concurrently.
type Inflater struct {
	// BytesMax bounds what one event may expand to; 0 is 256 MiB.
	BytesMax int

	in  bytes.Reader
	out []byte
	zip io.ReadCloser
}

// Header of compressed bytes (MariaDB server, sql/log_event.cc: binlog_buf_compress): 0x80, the algorithm, of which there is one,
// and how many bytes the length has, which is big-endian.
const (
	inflateMark      = 0x80
	inflateAlgorithm = 0x70
	inflateLength    = 0x07
)

func (z *Inflater) inflate(t Type, b []byte) ([]byte, error) {
	r := reader{b: b}
	head := r.u8()
	if head&^inflateLength != inflateMark {
		if head&inflateMark != 0 && head&inflateAlgorithm != 0 {
			return nil, fmt.Errorf("read %s event: compression %#x: %w", t, head, ErrUnsupported)
		}
		r.fail()
	}
	width := int(head & inflateLength)
	if width < 1 || width > 4 {
		r.fail()
	}
	size := 0
	for _, c := range r.take(width) {
		size = size<<8 | int(c)
	}
	if err := r.err(t); err != nil {
		return nil, err
	}
	limit := z.BytesMax
	if limit == 0 {
		limit = inflatedBytesMax
	}
	if size > limit {
		return nil, fmt.Errorf("read %s event: it expands to %d bytes: %w of %d", t, size, ErrTooLarge, limit)
	}
	return z.expand(t, r.b, size)
}

// expand reads zlib's bytes, which must be exactly size when they are expanded.
func (z *Inflater) expand(t Type, b []byte, size int) ([]byte, error) {
	z.in.Reset(b)
	if err := z.reset(); err != nil {
		return nil, fmt.Errorf("read %s event: %w: %w", t, ErrMalformed, err)
	}
	if z.out = z.out[:0]; cap(z.out) > payloadKept {
		z.out = nil
	}
	for {
		if len(z.out) == cap(z.out) {
			z.out = grow(z.out, max(len(z.out), inflateStepBytes), size+1)
		}
		n, err := z.zip.Read(z.out[len(z.out):cap(z.out)])
		z.out = z.out[:len(z.out)+n]
		if len(z.out) > size || err == io.EOF && len(z.out) < size {
			return nil, fmt.Errorf("read %s event: %w: it expands to another size than it says", t, ErrMalformed)
		}
		if err == io.EOF {
			return z.out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s event: %w: %w", t, ErrMalformed, err)
		}
	}
}

func (z *Inflater) reset() error {
	if z.zip == nil {
		zip, err := zlib.NewReader(&z.in)
		if err != nil {
			return err
		}
		z.zip = zip
		return nil
	}
	return z.zip.(zlib.Resetter).Reset(&z.in, nil)
}

// grow makes room for up to step more bytes, but for no more than limit in all.
func grow(b []byte, step, limit int) []byte {
	larger := make([]byte, len(b), min(len(b)+step, max(limit, len(b)+1)))
	copy(larger, b)
	return larger
}
