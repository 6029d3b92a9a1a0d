package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"slices"
	"time"

	"cdc/changelog"
	"cdc/sinks"
)

// The places of a record batch of format 2, counted from its size, which a produce request puts in front of it (Kafka documentation,
// "Message Format", and KIP-98).
const (
	sizeBytes    = 4 // the size itself
	atLength     = sizeBytes + 8
	atEpoch      = sizeBytes + 12 // of the partition's leader
	atMagic      = sizeBytes + 16
	atChecksum   = sizeBytes + 17
	atAttributes = sizeBytes + 21
	atLastDelta  = sizeBytes + 23
	atFirstTime  = sizeBytes + 27
	atMaxTime    = sizeBytes + 35
	atProducer   = sizeBytes + 43
	atProdEpoch  = sizeBytes + 51
	atSequence   = sizeBytes + 53
	atCount      = sizeBytes + 57
	atRecords    = sizeBytes + 61
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// producer is the identity under which a session writes.
type producer struct {
	id    int64
	epoch int16
}

// batch is a record batch: filled by add, closed once by seal, and then sent until it is answered. It is reused.
type batch struct {
	// buf holds the records from atRecords on, behind room for the size and the header.
	buf   []byte
	count int32
	// before is the commit of the unit before the one that the first message comes from; last is the last message.
	before changelog.Offset
	last   sinks.Identity
	// wire is what is sent: buf, or packed when the records are compressed.
	wire, packed []byte
	// firstTry is when it was sent for the first time, tries how often it has been.
	firstTry time.Time
	tries    int
}

func (b *batch) reset() {
	if cap(b.buf) < atRecords {
		b.buf = make([]byte, atRecords, 4<<10)
	}
	*b = batch{buf: b.buf[:atRecords], packed: b.packed[:0]}
}

// bytes is the size of the records before compression.
func (b *batch) bytes() int { return len(b.buf) - atRecords }

// recordBound is what a message takes in a batch at most.
func recordBound(m *sinks.Message) int {
	n := 5*binary.MaxVarintLen32 + len(m.Key) + len(m.Value) + 2*binary.MaxVarintLen32 + len(identityHeader) + identityBytes
	for i := range m.Headers {
		n += 2*binary.MaxVarintLen32 + len(m.Headers[i].Name) + len(m.Headers[i].Value)
	}
	return n
}

// add appends a message. Times are not kept for each record: all were sent when the batch was.
func (b *batch) add(m *sinks.Message, origin *origin) {
	length := 1 + 1 + varintLen(int(b.count)) + bytesLen(m.Key) + bytesLen(m.Value) + varintLen(len(m.Headers)+1)
	for i := range m.Headers {
		length += varintLen(len(m.Headers[i].Name)) + len(m.Headers[i].Name) + bytesLen(m.Headers[i].Value)
	}
	length += varintLen(len(identityHeader)) + len(identityHeader) + varintLen(identityBytes) + identityBytes
	b.reserve(binary.MaxVarintLen64 + length)
	dst := binary.AppendVarint(b.buf, int64(length))
	dst = append(dst, 0, 0) // attributes, and the difference of its time to the batch's
	dst = binary.AppendVarint(dst, int64(b.count))
	dst = appendBytes(dst, m.Key)
	dst = appendBytes(dst, m.Value)
	dst = binary.AppendVarint(dst, int64(len(m.Headers)+1))
	for i := range m.Headers {
		dst = binary.AppendVarint(dst, int64(len(m.Headers[i].Name)))
		dst = append(dst, m.Headers[i].Name...)
		dst = appendBytes(dst, m.Headers[i].Value)
	}
	dst = binary.AppendVarint(dst, int64(len(identityHeader)))
	dst = append(dst, identityHeader...)
	dst = binary.AppendVarint(dst, identityBytes)
	b.buf = origin.appendIdentity(dst, m.Identity)
	b.count++
	b.last = m.Identity
}

// reserve makes room for n more bytes. A buffer that doubles is copied at most twice in all, while append would copy it five times: it
// grows large slices by a quarter.
func (b *batch) reserve(n int) {
	if cap(b.buf)-len(b.buf) < n {
		b.buf = slices.Grow(b.buf, max(n, len(b.buf)))
	}
}

// seal makes the bytes that are sent. The time is that of sending, never the source's commit: the broker ages what it knows of a
// producer by the time of records, and would append a resend of old ones a second time.
func (b *batch) seal(c compressor, p producer, sequence int32, now time.Time) error {
	b.wire = b.buf
	attributes := uint16(0)
	if c != nil {
		packed, err := c.compress(append(b.packed[:0], b.buf[:atRecords]...), b.buf[atRecords:])
		if err != nil {
			return err
		}
		b.packed = packed
		if len(packed) < len(b.buf) {
			b.wire, attributes = packed, c.attribute()
		}
	}
	w := b.wire
	order := binary.BigEndian
	order.PutUint32(w, uint32(len(w)-sizeBytes))
	order.PutUint64(w[sizeBytes:], 0) // the broker sets the offset
	order.PutUint32(w[atLength:], uint32(len(w)-atEpoch))
	order.PutUint32(w[atEpoch:], 0xffffffff)
	w[atMagic] = 2
	order.PutUint16(w[atAttributes:], attributes)
	order.PutUint32(w[atLastDelta:], uint32(b.count-1))
	order.PutUint64(w[atFirstTime:], uint64(now.UnixMilli()))
	order.PutUint64(w[atMaxTime:], uint64(now.UnixMilli()))
	order.PutUint64(w[atProducer:], uint64(p.id))
	order.PutUint16(w[atProdEpoch:], uint16(p.epoch))
	order.PutUint32(w[atSequence:], uint32(sequence))
	order.PutUint32(w[atCount:], uint32(b.count))
	order.PutUint32(w[atChecksum:], crc32.Checksum(w[atAttributes:], castagnoli))
	return nil
}

// keyBytes is the size of the first record's key.
func keyBytes(records []byte) int64 {
	var n int64
	for field := range 4 { // length, difference of offset and size of key; the attributes and the difference of time are one byte each
		if field == 1 {
			records = records[2:]
			continue
		}
		v, size := binary.Varint(records)
		n, records = v, records[size:]
	}
	return max(n, 0)
}

// nextSequence is the sequence after n records; 0 follows the largest number.
func nextSequence(sequence, n int32) int32 { return int32((int64(sequence) + int64(n)) & 0x7fffffff) }

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // -1
	}
	dst = binary.AppendVarint(dst, int64(len(b)))
	return append(dst, b...)
}

func bytesLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(len(b)) + len(b)
}

// varintLen is how many bytes binary.AppendVarint takes for n, which is not negative.
func varintLen(n int) int { return (bits.Len64(uint64(n)<<1|1) + 6) / 7 }
