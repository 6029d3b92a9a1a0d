package kafka

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"cdc/changelog"
	"cdc/sinks"
)

// identityHeader is the name of the header that every message carries. Stored; do not change.
const identityHeader = "cdc.id"

// The places within the header's value, see docs/formats/kafka.md. Stored; do not change them.
const (
	identityVersion = 1
	identityBytes   = 30
	atLogID         = 1
	atSinkName      = 17
	atLogOffset     = 21
	atPart          = 29
)

// origin says who writes: the log and the sink.
type origin struct {
	log  [16]byte
	sink uint32
}

func newOrigin(log [16]byte, name string) origin {
	return origin{log: log, sink: crc32.Checksum([]byte(name), castagnoli)}
}

// appendIdentity appends the header's value for a message.
func (o *origin) appendIdentity(dst []byte, id sinks.Identity) []byte {
	dst = append(dst, identityVersion)
	dst = append(dst, o.log[:]...)
	dst = binary.BigEndian.AppendUint32(dst, o.sink)
	dst = binary.BigEndian.AppendUint64(dst, uint64(id.Offset))
	return append(dst, id.Part)
}

// parseIdentity reads what appendIdentity wrote.
func parseIdentity(b []byte) (o origin, id sinks.Identity, err error) {
	if len(b) == 0 || b[0] != identityVersion {
		return o, id, fmt.Errorf("header %s is not of version %d", identityHeader, identityVersion)
	}
	if len(b) != identityBytes {
		return o, id, fmt.Errorf("header %s has %d bytes, not %d", identityHeader, len(b), identityBytes)
	}
	copy(o.log[:], b[atLogID:])
	o.sink = binary.BigEndian.Uint32(b[atSinkName:])
	id = sinks.Identity{Offset: changelog.Offset(binary.BigEndian.Uint64(b[atLogOffset:])), Part: b[atPart]}
	return o, id, nil
}
