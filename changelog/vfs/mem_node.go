package vfs

// node is a file or a directory of a Mem. Everything in it is guarded by the
// mutex of that Mem.
type node struct {
	// Of a file. now is what reads see, durable is what a Sync has secured,
	// and pending leads from the one to the other.
	now, durable *content
	pending      []contentOp
	locked       bool

	// Of a directory; nil in a file.
	entries, durableEntries map[string]*node
}

func newFileNode(c *content) *node {
	return &node{now: c, durable: c.share()}
}

func newDirNode() *node {
	return &node{entries: make(map[string]*node), durableEntries: make(map[string]*node)}
}

func (n *node) isDir() bool { return n.entries != nil }

// write stores b at off and extends the file when it ends past it.
func (n *node) write(b []byte, off int64) {
	if len(b) == 0 {
		return
	}
	if end := off + int64(len(b)); end > n.now.size {
		n.resize(end)
	}
	n.change(contentOp{off: off, data: append([]byte{}, b...)})
}

// resize sets the size of the file.
func (n *node) resize(size int64) {
	if size != n.now.size {
		n.change(contentOp{size: size})
	}
}

func (n *node) change(op contentOp) {
	n.now.apply(op)
	n.pending = append(n.pending, op)
}

// sync makes what was changed durable.
func (n *node) sync() {
	for _, op := range n.pending {
		n.durable.apply(op)
	}
	n.pending = nil
}

// dropUnsynced does what a kernel may do when it cannot write pages back: it
// forgets that they are dirty. Reads still see them, no Sync ever writes them.
func (n *node) dropUnsynced() {
	var kept []contentOp
	for _, op := range n.pending {
		if op.isResize() {
			kept = append(kept, op)
		}
	}
	n.pending = kept
}

// place is a name in a directory. The zero place is nowhere.
type place struct {
	dir  *node
	name string
}

// dirOp is one directory operation since the last SyncDir: the node goes from
// one place (nowhere for a create) to another (nowhere for a remove).
type dirOp struct {
	node     *node
	from, to place
}

func (op dirOp) in(dir *node) bool { return op.from.dir == dir || op.to.dir == dir }

// dependsOn reports whether op makes no sense unless the earlier one happened:
// they share a name or a node, or op moves the directory earlier was in.
func (op dirOp) dependsOn(earlier dirOp) bool {
	if op.node == earlier.node || earlier.in(op.node) || op.in(earlier.node) {
		return true
	}
	for _, p := range []place{op.from, op.to} {
		if p.dir != nil && (p == earlier.from || p == earlier.to) {
			return true
		}
	}
	return false
}

// apply carries the operation out on the entries that view returns.
func (op dirOp) apply(view func(dir *node) map[string]*node) {
	if op.from.dir != nil {
		delete(view(op.from.dir), op.from.name)
	}
	if op.to.dir != nil {
		view(op.to.dir)[op.to.name] = op.node
	}
}

func liveEntries(dir *node) map[string]*node    { return dir.entries }
func durableEntries(dir *node) map[string]*node { return dir.durableEntries }
