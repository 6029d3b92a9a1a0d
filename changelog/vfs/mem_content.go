package vfs

// The units in which a power loss takes data.
const (
	pageBytes   = 4096 // written back as one, in an order of the kernel's choice
	sectorBytes = 512  // written by the disk whole or not at all
)

// page is one page of a file. A shared page belongs to several contents and is
// copied before it changes.
type page struct {
	data   [pageBytes]byte
	shared bool
}

// content is the sparse content of a file: a page that is absent is zero, and
// so is every byte at or past size.
type content struct {
	size  int64
	pages map[int64]*page
}

func newContent() *content {
	return &content{pages: make(map[int64]*page)}
}

// share returns a copy that shares all pages.
func (c *content) share() *content {
	pages := make(map[int64]*page, len(c.pages))
	for i, p := range c.pages {
		if !p.shared { // pages shared already may be read by another Mem
			p.shared = true
		}
		pages[i] = p
	}
	return &content{size: c.size, pages: pages}
}

// readAt copies what lies at off and returns how much there was.
func (c *content) readAt(b []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	b = b[:min(int64(len(b)), c.size-off)]
	for n := 0; n < len(b); {
		at := off + int64(n)
		in := int(at % pageBytes)
		end := min(len(b), n+pageBytes-in)
		if p := c.pages[at/pageBytes]; p != nil {
			copy(b[n:end], p.data[in:])
		} else {
			clear(b[n:end])
		}
		n = end
	}
	return len(b)
}

// writeAt stores b at off, as far as the size reaches.
func (c *content) writeAt(b []byte, off int64) {
	if off >= c.size {
		return
	}
	b = b[:min(int64(len(b)), c.size-off)]
	for len(b) > 0 {
		p := c.writable(off / pageBytes)
		n := copy(p.data[off%pageBytes:], b)
		b, off = b[n:], off+int64(n)
	}
}

// writable returns the page with that index, ours alone.
func (c *content) writable(i int64) *page {
	p := c.pages[i]
	switch {
	case p == nil:
		p = &page{}
	case p.shared:
		p = &page{data: p.data}
	default:
		return p
	}
	c.pages[i] = p
	return p
}

// resize sets the size and zeroes what a cut leaves behind.
func (c *content) resize(size int64) {
	if size < c.size {
		for i := range c.pages {
			if i*pageBytes >= size {
				delete(c.pages, i)
			}
		}
		if in := size % pageBytes; in != 0 && c.pages[size/pageBytes] != nil {
			clear(c.writable(size / pageBytes).data[in:])
		}
	}
	c.size = size
}

// contentOp is one change of a file since its last Sync: bytes written at off,
// or, when data is nil, a new size.
type contentOp struct {
	off  int64
	data []byte
	size int64
}

func (op contentOp) isResize() bool { return op.data == nil }

// apply carries out the whole change.
func (c *content) apply(op contentOp) {
	if op.isResize() {
		c.resize(op.size)
		return
	}
	c.writeAt(op.data, op.off)
}
