package checker

import "hash/fnv"

// Change is one change of one row, as far as it is judged. Every judged table
// has the columns id and v.
type Change struct {
	Table string
	// Op is one of c, u, d, r (a row of a copy) and t (the table was emptied).
	Op byte
	// OldKey is the id before an update that changed it, else empty.
	OldKey string
	Key    string
	// Value is v after the change; empty for d and t.
	Value string
}

// digest hashes one change.
func (c Change) digest() uint64 {
	h := fnv.New64a()
	for _, part := range []string{c.Table, string(c.Op), c.OldKey, c.Key, c.Value} {
		_, _ = h.Write([]byte(part)) // never fails
		_, _ = h.Write([]byte{0})
	}
	return mix(h.Sum64())
}

// mix spreads every bit over all others, so that sums of digests do not cancel
// out for similar changes.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// Sum stands for a set of changes, whatever their order.
type Sum struct {
	Rows int64
	Hash int64
}

// Add puts a change into the set.
func (s *Sum) Add(c Change) {
	s.Rows++
	s.Hash += int64(c.digest())
}

// Entry is one row of the ledger.
type Entry struct {
	// ID is unique in the workload; Seq grows by client.
	ID, Client, Seq int64
	// Sum is that of the transaction's changes, the ledger's own left out.
	Sum Sum
}

// Result is what a client knows of its transaction.
type Result int

// Results. After Unknown the transaction may have committed or not, but not in
// part.
const (
	Committed Result = iota
	Failed
	Unknown
)

// Outcome is what became of one transaction. Began and Ended are times of one
// monotonic clock, in nanoseconds: before the first statement and after the
// answer to the last.
type Outcome struct {
	ID, Client, Seq int64
	Result          Result
	Began, Ended    int64
}
