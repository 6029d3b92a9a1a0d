package vfs

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// Crash returns what a power loss at this moment would leave, as a file system
// of its own without locks or open files. The original is not disturbed and
// its handles keep working.
//
// Synced bytes and names are always there. Of the rest about keepPercent per
// cent survive, chosen by rng: 0 leaves only what was synced, 100 leaves
// everything, as the kill of a process does. In between,
//
//   - a page is at any of the states it had since the last Sync, whatever
//     other pages are at; the next write to it may be torn, with the sectors
//     not reached old or zero;
//   - the sizes that the file had since the last Sync became durable in
//     order, up to any one of them; what lies beyond is gone, and bytes whose
//     write was lost read as zero when the size survived;
//   - directory operations survive either as a prefix in the order they were
//     made (a journal) or each on its own, unless it rests on one that was
//     lost. A rename is never seen half done.
//
// The same state, rng state and keepPercent give the same result.
func (m *Mem) Crash(rng *rand.Rand, keepPercent int) *Mem {
	m.mu.Lock() // not RLock: pages become shared
	defer m.mu.Unlock()
	c := crash{rng: rng, keepPercent: keepPercent, copies: make(map[*node]*node)}
	return &Mem{root: c.copyDir(m.root, c.survivingEntries(m.pending))}
}

// crash is one power loss being worked out.
type crash struct {
	rng         *rand.Rand
	keepPercent int
	copies      map[*node]*node
}

// keep reports whether something unsynced survives.
func (c *crash) keep() bool { return c.rng.IntN(100) < c.keepPercent }

// prefix returns how many of n ordered changes survive.
func (c *crash) prefix(n int) int {
	if n == 0 || c.keep() {
		return n
	}
	if c.keepPercent <= 0 {
		return 0
	}
	return c.rng.IntN(n)
}

// survivingEntries returns the entries of each directory that differ from the
// durable ones.
func (c *crash) survivingEntries(pending []dirOp) map[*node]map[string]*node {
	changed := make(map[*node]map[string]*node)
	view := func(dir *node) map[string]*node {
		if changed[dir] == nil {
			changed[dir] = maps.Clone(dir.durableEntries)
		}
		return changed[dir]
	}
	for _, op := range c.survivingOps(pending) {
		op.apply(view)
	}
	return changed
}

func (c *crash) survivingOps(pending []dirOp) []dirOp {
	if c.rng.IntN(2) == 0 {
		return pending[:c.prefix(len(pending))]
	}
	var kept, lost []dirOp
	for _, op := range pending {
		if c.keep() && !slices.ContainsFunc(lost, op.dependsOn) {
			kept = append(kept, op)
		} else {
			lost = append(lost, op)
		}
	}
	return kept
}

// copyDir copies a directory in the order of its names, so that a crash
// depends on nothing but its inputs.
func (c *crash) copyDir(dir *node, changed map[*node]map[string]*node) *node {
	entries, ok := changed[dir]
	if !ok {
		entries = dir.durableEntries
	}
	to := newDirNode()
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		n := c.copyNode(entries[name], changed)
		to.entries[name], to.durableEntries[name] = n, n
	}
	return to
}

func (c *crash) copyNode(n *node, changed map[*node]map[string]*node) *node {
	if done := c.copies[n]; done != nil {
		return done
	}
	var to *node
	if n.isDir() {
		to = c.copyDir(n, changed)
	} else {
		to = newFileNode(c.survivingContent(n))
	}
	c.copies[n] = to
	return to
}

// survivingContent replays the changes since the last Sync, in order, as far
// as each of them survives.
func (c *crash) survivingContent(n *node) *content {
	to := n.durable.share()
	plan := c.planFile(n)
	for _, op := range n.pending {
		if op.isResize() {
			plan.applySize(to, op.size)
			continue
		}
		for off := int64(0); off < int64(len(op.data)); {
			at := op.off + off
			end := min(int64(len(op.data)), off+pageBytes-at%pageBytes)
			plan.applyWrite(to, op.data[off:end], at)
			off = end
		}
	}
	return to
}

// filePlan says what survives of the changes of one file.
type filePlan struct {
	sizes int // how many more size changes survive
	pages map[int64]*pagePlan
	cut   int64 // where a lost truncation would have cut; later writes past it are lost too
}

// pagePlan says what survives of the writes to one page.
type pagePlan struct {
	writes int // how many there are in all
	keep   int // how many more survive whole
	torn   bool
	tear   tear
}

// tear says what is left of the first write that does not survive whole.
type tear struct {
	sectors uint8 // bit i: sector i of the page was written
	zero    bool  // the others read as zero, not as before
}

// planFile draws the fate of every change of a file.
func (c *crash) planFile(n *node) *filePlan {
	plan := &filePlan{pages: make(map[int64]*pagePlan), cut: math.MaxInt64}
	for _, op := range n.pending {
		if op.isResize() {
			plan.sizes++
			continue
		}
		last := (op.off + int64(len(op.data)) - 1) / pageBytes
		for i := op.off / pageBytes; i <= last; i++ {
			if plan.pages[i] == nil {
				plan.pages[i] = &pagePlan{}
			}
			plan.pages[i].writes++
		}
	}
	plan.sizes = c.prefix(plan.sizes)
	for _, i := range slices.Sorted(maps.Keys(plan.pages)) {
		c.planPage(plan.pages[i])
	}
	return plan
}

func (c *crash) planPage(p *pagePlan) {
	p.keep = c.prefix(p.writes)
	p.torn = p.keep < p.writes && c.keepPercent > 0 && c.rng.IntN(2) == 0
	if !p.torn {
		return
	}
	p.tear.zero = c.rng.IntN(4) == 0
	if c.rng.IntN(2) == 0 {
		p.tear.sectors = uint8(1)<<c.rng.IntN(pageBytes/sectorBytes) - 1 // a prefix
		return
	}
	p.tear.sectors = uint8(c.rng.UintN(1 << (pageBytes / sectorBytes)))
}

// applySize carries out a size change, if it survives.
func (p *filePlan) applySize(to *content, size int64) {
	if p.sizes > 0 {
		p.sizes--
		to.resize(size)
		return
	}
	if size < to.size {
		p.cut = min(p.cut, size)
	}
}

// applyWrite carries out the part of a write that lies in one page, as far as
// it survives.
func (p *filePlan) applyWrite(to *content, b []byte, off int64) {
	if off+int64(len(b)) > p.cut {
		return // its page was the truncation's to give
	}
	page := p.pages[off/pageBytes]
	switch {
	case page.keep > 0:
		page.keep--
		to.writeAt(b, off)
	case page.torn:
		page.torn = false
		page.tear.apply(to, b, off)
	}
}

// apply stores b sector by sector.
func (t tear) apply(to *content, b []byte, off int64) {
	for len(b) > 0 {
		sector := off % pageBytes / sectorBytes
		n := min(int64(len(b)), sectorBytes-off%sectorBytes)
		switch {
		case t.sectors&(1<<sector) != 0:
			to.writeAt(b[:n], off)
		case t.zero:
			to.writeAt(make([]byte, n), off)
		}
		b, off = b[n:], off+n
	}
}
