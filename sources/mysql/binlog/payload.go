package binlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Bounds of what a compressed transaction may make us hold. The transaction itself has none: it is unpacked event by event.
const (
	// payloadWindowMax is how far back zstd may refer: 128 MiB, which its highest level asks for and no decompressor exceeds
	// unless told to (ZSTD_WINDOWLOG_LIMIT_DEFAULT), so nothing that a server writes is refused.
	payloadWindowMax = 128 << 20
	// payloadEventMax is the default bound of one event in it: 256 MiB.
	payloadEventMax = 256 << 20
	// payloadKept is how large a buffer for events may be and be kept for the next transaction.
	payloadKept = 8 << 20
	// payloadStepBytes is how much room is made at once for an event, which grows as its bytes come.
	payloadStepBytes = 64 << 10
)

// Fields of TRANSACTION_PAYLOAD (mysql-server, libs/mysql/binlog/event/codecs/binary.cpp: Transaction_payload::decode).
const (
	payloadEnd         = 0
	payloadSize        = 1
	payloadCompression = 2
	payloadExpanded    = 3
)

// Compressions.
const (
	compressionZSTD = 0
	compressionNone = 255
)

// payloadHeader is what TRANSACTION_PAYLOAD says of the events in it.
type payloadHeader struct {
	compression uint64
	// expanded is the size of the events; the server may leave it out.
	expanded    uint64
	hasExpanded bool
	data        []byte
}

func parsePayload(e Event) (p payloadHeader, err error) {
	if e.Type != TypeTransactionPayload {
		return p, wrongType(e.Type, "transaction payload")
	}
	r := reader{b: e.Body}
	var size uint64
	var hasSize, hasCompression bool
	for !r.bad {
		field := r.packed()
		if field == payloadEnd {
			break
		}
		value := reader{b: r.packedBytes(), bad: r.bad}
		switch field {
		case payloadSize:
			size, hasSize = value.packed(), true
		case payloadCompression:
			p.compression, hasCompression = value.packed(), true
		case payloadExpanded:
			p.expanded, p.hasExpanded = value.packed(), true
		}
		r.bad = r.bad || value.bad
	}
	p.data = r.sized(size)
	if !hasSize || !hasCompression {
		r.fail()
	}
	return p, r.end(e.Type)
}

// Payload unpacks the events of compressed transactions, one at a time and in bounded memory. The zero value is ready; it is to be
// used for one transaction after the other, and closed in the end. It must not be used concurrently.
type Payload struct {
	// EventBytesMax bounds one event; 0 is 256 MiB.
	EventBytesMax int

	in     bytes.Reader
	zip    *zstd.Decoder
	source io.Reader
	header payloadHeader
	// done is how many bytes of events have been read.
	done uint64
	buf  []byte
}

// Open begins with the events of a TRANSACTION_PAYLOAD. Its bytes must stay as they are until the last event has been read.
func (p *Payload) Open(e Event) error {
	header, err := parsePayload(e)
	if err != nil {
		return err
	}
	p.header, p.done = header, 0
	if cap(p.buf) > payloadKept {
		p.buf = nil
	}
	p.in.Reset(header.data)
	switch header.compression {
	case compressionNone:
		p.source = &p.in
	case compressionZSTD:
		return p.openZSTD()
	default:
		return fmt.Errorf("read %s event: compression %d: %w", e.Type, header.compression, ErrUnsupported)
	}
	return nil
}

func (p *Payload) openZSTD() error {
	if p.zip == nil {
		zip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(payloadWindowMax), zstd.WithDecodeBuffersBelow(0))
		if err != nil {
			return fmt.Errorf("read %s event: %w", TypeTransactionPayload, err)
		}
		p.zip = zip
	}
	if err := p.zip.Reset(&p.in); err != nil {
		return p.damaged(err)
	}
	p.source = p.zip
	return nil
}

// Next is the next event, io.EOF after the last one. It has no checksum: that of the whole payload covers it. Its position is the
// payload's. It is valid until the next call.
func (p *Payload) Next() (Event, error) {
	if p.source == nil {
		return Event{}, io.EOF
	}
	raw, err := p.fill(p.buf[:0], HeaderBytes)
	p.buf = raw
	if err == io.EOF && len(raw) == 0 {
		p.source = nil
		if p.header.hasExpanded && p.done != p.header.expanded {
			return Event{}, p.damaged(errors.New("it expands to another size than it says"))
		}
		return Event{}, io.EOF
	}
	if err != nil {
		return Event{}, p.damaged(err)
	}
	return p.body()
}

// body reads the event whose header is in the buffer.
func (p *Payload) body() (Event, error) {
	h, err := ParseHeader(p.buf)
	if err != nil {
		return Event{}, err
	}
	limit := p.EventBytesMax
	if limit == 0 {
		limit = payloadEventMax
	}
	switch {
	case h.Size < HeaderBytes:
		return Event{}, p.damaged(fmt.Errorf("event of %d bytes", h.Size))
	case uint64(h.Size) > uint64(limit):
		return Event{}, fmt.Errorf("read %s event within %s: %d bytes: %w of %d", h.Type, TypeTransactionPayload, h.Size, ErrTooLarge, limit)
	case h.Type == TypeTransactionPayload:
		return Event{}, p.damaged(errors.New("a payload within a payload"))
	}
	if p.buf, err = p.fill(p.buf, int(h.Size)); err != nil {
		return Event{}, p.damaged(err)
	}
	return Event{h, p.buf[HeaderBytes:]}, nil
}

// fill reads until the buffer holds size bytes. It makes room as they come: a size alone costs nothing.
func (p *Payload) fill(b []byte, size int) ([]byte, error) {
	for len(b) < size {
		if len(b) == cap(b) {
			b = grow(b, max(len(b), payloadStepBytes), max(size, payloadStepBytes))
		}
		n, err := p.source.Read(b[len(b):min(size, cap(b))])
		b = b[:len(b)+n]
		p.done += uint64(n)
		if p.header.hasExpanded && p.done > p.header.expanded {
			return b, errors.New("it expands to another size than it says")
		}
		if err != nil && len(b) < size {
			return b, err
		}
	}
	return b, nil
}

// damaged is the error of a payload that cannot be unpacked; nothing more is read from it.
func (p *Payload) damaged(err error) error {
	p.source = nil
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return fmt.Errorf("read %s event: %w: %w", TypeTransactionPayload, ErrTooLarge, err)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %s event: %w: %w", TypeTransactionPayload, ErrMalformed, err)
}

// Close frees what the decompressor holds. The Payload can be used again.
func (p *Payload) Close() {
	if p.zip != nil {
		p.zip.Close()
	}
	*p = Payload{EventBytesMax: p.EventBytesMax}
}
