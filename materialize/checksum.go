package materialize

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"cdc/schema"
)

// Checksum is a checksum of a set of rows that does not depend on their order: their number and the sum, modulo 2^128, of the
// first 16 bytes of SHA-256 over each row's canonical encoding. It depends on the values and kinds of the columns in their order,
// and not on names, versions or how decimals are written (1.0 equals 1.00). The zero value is that of no rows.
type Checksum struct {
	Count  uint64
	Hi, Lo uint64

	scratch []byte
}

// Add adds a row of t.
func (c *Checksum) Add(t *schema.Table, r schema.Row) {
	c.scratch = appendCanonical(c.scratch[:0], t, r)
	sum := sha256.Sum256(c.scratch)
	c.Count++
	var carry uint64
	c.Lo, carry = bits.Add64(c.Lo, binary.BigEndian.Uint64(sum[8:]), 0)
	c.Hi, _ = bits.Add64(c.Hi, binary.BigEndian.Uint64(sum[:]), carry)
}

// Equal reports whether both are of the same rows.
func (c *Checksum) Equal(o *Checksum) bool { return c.Count == o.Count && c.Hi == o.Hi && c.Lo == o.Lo }

// String is the sum in hexadecimal and the number of rows.
func (c *Checksum) String() string { return fmt.Sprintf("%016x%016x (%d rows)", c.Hi, c.Lo, c.Count) }

// Tags of a canonical value without bytes. Others begin with their kind.
const (
	canonicalAbsent = 0xfe
	canonicalNull   = 0xff
)

// appendCanonical appends the encoding of a row that its checksum is made of: for each column the kind, the length of the value
// and the value, as it is packed but for what can be written in several ways.
func appendCanonical(dst []byte, t *schema.Table, r schema.Row) []byte {
	for i := range t.Columns {
		c := &t.Columns[i]
		switch r.State(i) {
		case schema.Absent:
			dst = append(dst, canonicalAbsent)
			continue
		case schema.Null:
			dst = append(dst, canonicalNull)
			continue
		case schema.Present:
		}
		dst = append(dst, byte(c.Kind), 0, 0, 0, 0)
		start := len(dst)
		switch c.Kind {
		case schema.Decimal:
			dst = schema.AppendKeyValue(dst, c, r, i) // leaves the scale out
		case schema.Float32:
			v := r.Float32(i)
			if v != v {
				v = float32(math.NaN())
			}
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
		case schema.Float64:
			v := r.Float64(i)
			if v != v {
				v = math.NaN()
			}
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
		default:
			dst = append(dst, r.Value(i)...)
		}
		binary.LittleEndian.PutUint32(dst[start-4:], uint32(len(dst)-start))
	}
	return dst
}
