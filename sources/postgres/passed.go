package postgres

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// passed is what a stream has handed over: how far it has come, and which transactions a new view of the database may not show
// yet. docs/decisions/0014 has the argument. A nil one keeps nothing.
type passed struct {
	// end is the LSN up to which everything has been handed over.
	end atomic.Uint64
	// moved, when set, is called when end has moved between two transactions.
	moved func()
	// asked has the server tell how far it is.
	asked chan struct{}

	mu     sync.Mutex // guards all below
	noting bool
	noted  []notedXID // in the order in which they were handed over
	next   uint64
}

// notedXID is a transaction that has been handed over, with its place among them.
type notedXID struct{ xid, place uint64 }

func newPassed(end LSN, moved func()) *passed {
	p := &passed{moved: moved, asked: make(chan struct{}, 1)}
	p.end.Store(uint64(end))
	return p
}

// transaction notes that the transaction is about to be handed over. It comes before the handing over, so that nobody who finds the
// transaction in the log misses it here; what waits for end is kept from the log by the transaction's turn of the Writer until then.
func (p *passed) transaction(xid uint64, end LSN) {
	if p == nil {
		return
	}
	p.mu.Lock()
	if p.noting {
		p.noted = append(p.noted, notedXID{xid: xid, place: p.next})
	}
	p.next++
	p.mu.Unlock()
	p.end.Store(max(p.end.Load(), uint64(end)))
}

// reach notes that everything up to the LSN has been handed over. No transaction is open.
func (p *passed) reach(end LSN) {
	if p == nil || p.end.Load() >= uint64(end) {
		return
	}
	p.end.Store(uint64(end))
	p.moved()
}

func (p *passed) reached(at LSN) bool { return LSN(p.end.Load()) >= at }

// ask has the server say where it is: an idle one would do so within a second.
func (p *passed) ask() {
	select {
	case p.asked <- struct{}{}:
	default:
	}
}

// note begins to keep transactions, or ends it and forgets them.
func (p *passed) note(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noting = on
	if !on {
		p.noted = nil
	}
}

// add notes transactions that the log held before.
func (p *passed) add(xids []uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, xid := range xids {
		p.noted = append(p.noted, notedXID{xid: xid, place: p.next})
		p.next++
	}
}

// place is beyond everything that has been handed over so far.
func (p *passed) place() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next
}

// hidden is a transaction that was handed over before the place and that the view does not show; false when there is none. What the
// view shows is forgotten: later views show it too.
func (p *passed) hidden(v snapshot, before uint64) (xid uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noted = slices.DeleteFunc(p.noted, func(n notedXID) bool { return v.shows(n.xid) })
	if len(p.noted) == 0 || p.noted[0].place >= before {
		return 0, false
	}
	return p.noted[0].xid, true
}

// snapshot is which transactions a view shows, as pg_current_snapshot tells it.
type snapshot struct {
	xmin, xmax uint64
	open       []uint64 // between them, sorted
}

// parseSnapshot reads xmin:xmax:xid,xid.
func parseSnapshot(text string) (snapshot, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return snapshot{}, fmt.Errorf("snapshot %q cannot be read", text)
	}
	var s snapshot
	var err error
	number := func(text string) (n uint64) {
		n, parseErr := strconv.ParseUint(text, 10, 64)
		if parseErr != nil && err == nil {
			err = fmt.Errorf("snapshot %q: %w", text, parseErr)
		}
		return n
	}
	s.xmin, s.xmax = number(parts[0]), number(parts[1])
	if parts[2] != "" {
		for xid := range strings.SplitSeq(parts[2], ",") {
			s.open = append(s.open, number(xid))
		}
	}
	slices.Sort(s.open)
	return s, err
}

// shows reports whether what the transaction has committed is in the view.
func (s snapshot) shows(xid uint64) bool {
	if xid < s.xmin || xid >= s.xmax {
		return xid < s.xmin
	}
	_, open := slices.BinarySearch(s.open, xid)
	return !open
}

// extendXID extends a transaction's number to 64 bits: numbers in flight lie within 2^31 of each other.
func extendXID(near uint64, xid uint32) uint64 {
	full := near&^0xffffffff | uint64(xid)
	switch {
	case full > near && full-near > 1<<31 && full >= 1<<32:
		full -= 1 << 32
	case full < near && near-full > 1<<31:
		full += 1 << 32
	}
	return full
}
