package kafka

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Compression is how record batches are compressed.
type Compression string

// Compressions. LZ4 is the default: it makes JSON about five times smaller for half a microsecond a message, which the broker, its
// disk and its replicas then do not have to carry; Zstd is smaller by a third more and takes twice the time.
const (
	CompressionNone Compression = "none"
	Gzip            Compression = "gzip"
	Snappy          Compression = "snappy"
	LZ4             Compression = "lz4"
	Zstd            Compression = "zstd"
)

// compressor compresses the records of a batch. It is safe for concurrent use.
type compressor interface {
	// compress appends to dst.
	compress(dst, records []byte) ([]byte, error)
	// attribute is the codec's number in a batch.
	attribute() uint16
}

// newCompressor is nil for none.
func newCompressor(c Compression) (compressor, error) {
	switch c {
	case CompressionNone:
		return nil, nil
	case Gzip:
		return &gzipCompressor{}, nil
	case Snappy:
		return snappyCompressor{}, nil
	case LZ4, "":
		return &lz4Compressor{}, nil
	case Zstd:
		encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
		return zstdCompressor{encoder}, err
	}
	return nil, fmt.Errorf("compression %q is not known; choose %s, %s, %s, %s or %s", c, CompressionNone, Gzip, Snappy, LZ4, Zstd)
}

type gzipCompressor struct{ writers sync.Pool }

func (*gzipCompressor) attribute() uint16 { return 1 }

func (g *gzipCompressor) compress(dst, records []byte) ([]byte, error) {
	out := bytes.NewBuffer(dst)
	w, ok := g.writers.Get().(*gzip.Writer)
	if !ok {
		w = gzip.NewWriter(out)
	}
	defer g.writers.Put(w)
	w.Reset(out)
	if _, err := w.Write(records); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

type snappyCompressor struct{}

func (snappyCompressor) attribute() uint16 { return 2 }

func (snappyCompressor) compress(dst, records []byte) ([]byte, error) {
	n := len(dst)
	dst = append(dst, make([]byte, s2.MaxEncodedLen(len(records)))...)
	return dst[:n+len(s2.EncodeSnappy(dst[n:], records))], nil
}

// lz4Compressor writes blocks of 64 KiB as the Java client does: the default of 4 MiB would keep several times as much for each writer.
type lz4Compressor struct{ writers sync.Pool }

func (*lz4Compressor) attribute() uint16 { return 3 }

func (l *lz4Compressor) compress(dst, records []byte) ([]byte, error) {
	out := bytes.NewBuffer(dst)
	w, ok := l.writers.Get().(*lz4.Writer)
	if !ok {
		w = lz4.NewWriter(nil)
		// The batch has a checksum of its own.
		if err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false)); err != nil {
			return nil, err
		}
	}
	defer l.writers.Put(w)
	w.Reset(out)
	if _, err := w.Write(records); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

type zstdCompressor struct{ encoder *zstd.Encoder }

func (zstdCompressor) attribute() uint16 { return 4 }

func (z zstdCompressor) compress(dst, records []byte) ([]byte, error) {
	return z.encoder.EncodeAll(records, dst), nil
}
