package schema

import (
	"math"
	"math/bits"
)

var pow10 = [...]uint64{1, 10, 100, 1000, 10000}

const maxInt128Digits = 39

// magnitude is an unsigned integer of 128 bits that remembers when it overflowed.
type magnitude struct {
	hi, lo   uint64
	overflow bool
}

func (m *magnitude) mulAdd(factor, add uint64) {
	over, hi := bits.Mul64(m.hi, factor)
	carry, lo := bits.Mul64(m.lo, factor)
	hi, c1 := bits.Add64(hi, carry, 0)
	lo, c2 := bits.Add64(lo, add, 0)
	hi, c3 := bits.Add64(hi, 0, c2)
	m.hi, m.lo = hi, lo
	m.overflow = m.overflow || over|c1|c3 != 0
}

// shift multiplies by 10^tens.
func (m *magnitude) shift(tens int) {
	if tens > maxInt128Digits {
		m.overflow = true // it is never zero here
		return
	}
	for ; tens > 0; tens-- {
		m.mulAdd(10, 0)
	}
}

// signed is the value in two's complement, exact when it fits.
func (m *magnitude) signed(negative bool) (hi int64, lo uint64, exact bool) {
	limit := uint64(math.MaxInt64)
	if m.overflow || m.hi > limit && (!negative || m.hi != limit+1 || m.lo != 0) {
		return 0, 0, false
	}
	if !negative {
		return int64(m.hi), m.lo, true
	}
	lo, borrow := bits.Sub64(0, m.lo, 0)
	high, _ := bits.Sub64(0, m.hi, borrow)
	return int64(high), lo, true
}
