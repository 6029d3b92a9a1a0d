package kafka

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/segmentio/kafka-go/protocol"
)

// produceRequest is a Produce request of which large batches are written to the connection from where they are: the library would copy
// them first. The batches stay as they are until it is answered. Partitions of a topic follow each other. It is reused.
//
// Source: Kafka documentation, "Protocol", Produce Request (Version: 3 to 8), with Request Header v1.
type produceRequest struct {
	timeout    int32 // milliseconds that the broker may wait for replicas
	partitions []*partition

	version int16
	buf     []byte // all but the large batches
	large   []largeBatch
}

// largeBatch stands in a request behind the first bytes of its buffer.
type largeBatch struct {
	behind int
	wire   []byte
}

var _ protocol.RawExchanger = (*produceRequest)(nil)

const (
	// correlation is the number that an answer repeats. A connection has one request at a time.
	correlation = math.MaxInt32
	// copyBelow is the size below which a batch is copied rather than written by itself.
	copyBelow = 32 << 10
)

// ApiKey implements protocol.Message.
//
//lint:ignore ST1003 the interface has the name
func (*produceRequest) ApiKey() protocol.ApiKey { return protocol.Produce }

// Required implements protocol.RawExchanger.
func (r *produceRequest) Required(versions map[protocol.ApiKey]int16) bool {
	r.version = versions[protocol.Produce]
	return true
}

// RawExchange implements protocol.RawExchanger.
func (r *produceRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	r.build()
	from := 0
	for _, b := range r.large {
		if err := writeAll(rw, r.buf[from:b.behind], b.wire); err != nil {
			return nil, err
		}
		from = b.behind
	}
	if err := writeAll(rw, r.buf[from:]); err != nil {
		return nil, err
	}
	id, answer, err := protocol.ReadResponse(rw, protocol.Produce, r.version)
	if err == nil && id != correlation {
		err = fmt.Errorf("the answer is to request %d, and not to %d", id, correlation)
	}
	return answer, err
}

func writeAll(w io.Writer, pieces ...[]byte) error {
	for _, b := range pieces {
		if len(b) == 0 {
			continue
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// build makes the request. Each batch begins with its size.
func (r *produceRequest) build() {
	order := binary.BigEndian
	b := append(r.buf[:0], 0, 0, 0, 0) // the size
	b = order.AppendUint16(b, uint16(protocol.Produce))
	b = order.AppendUint16(b, uint16(r.version))
	b = order.AppendUint32(b, correlation)
	b = appendText(b, clientID)
	b = order.AppendUint16(b, math.MaxUint16) // no transactional id: -1
	b = order.AppendUint16(b, math.MaxUint16) // acks of all replicas in sync: -1
	b = order.AppendUint32(b, uint32(r.timeout))
	b = order.AppendUint32(b, uint32(topicsOf(r.partitions)))
	size := 0
	r.large = r.large[:0]
	for i, p := range r.partitions {
		if i == 0 || r.partitions[i-1].topic != p.topic {
			b = appendText(b, p.topic.name)
			b = order.AppendUint32(b, uint32(leading(r.partitions[i:])))
		}
		b = order.AppendUint32(b, uint32(p.index))
		if wire := p.flight.wire; len(wire) < copyBelow {
			b = append(b, wire...)
		} else {
			r.large = append(r.large, largeBatch{len(b), wire})
			size += len(wire)
		}
	}
	order.PutUint32(b, uint32(len(b)+size-sizeBytes))
	r.buf = b
}

// topicsOf is how many topics the partitions belong to.
func topicsOf(partitions []*partition) (n int) {
	for rest := partitions; len(rest) > 0; rest = rest[leading(rest):] {
		n++
	}
	return n
}

// leading is how many partitions at the beginning belong to one topic.
func leading(partitions []*partition) int {
	n := 1
	for n < len(partitions) && partitions[n].topic == partitions[0].topic {
		n++
	}
	return n
}

func appendText(dst []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(text))), text...)
}
