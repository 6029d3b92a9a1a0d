package segment

import (
	"cdc/changelog"
	"cdc/schema"
)

// Block is an entry of a segment's sparse index: a run of frames in the open form, one frame in the sealed form.
type Block struct {
	// Pos is the place of the first frame in the file, First its first offset, Count how many offsets the block takes.
	Pos   int64
	First changelog.Offset
	Count uint64
	// Tables are the tables that the block's changes touch, ascending; nil when that is not known: in the open form,
	// and where changes lie in a side segment.
	Tables []schema.TableID
	// Last holds the last unit of each source and epoch in the block, control units left out.
	Last Marks
}

// Next is the first offset after the block.
func (b *Block) Next() changelog.Offset { return b.First + changelog.Offset(b.Count) }

// Marks holds one unit of each source and epoch, the last one seen.
type Marks []changelog.UnitMeta

// Add takes note of a unit, which comes after all others so far.
func (m *Marks) Add(u *changelog.UnitMeta) {
	if u.Kind == changelog.UnitControl {
		return
	}
	for i := range *m {
		if mark := &(*m)[i]; mark.Source == u.Source && mark.Epoch == u.Epoch {
			*mark = *u
			return
		}
	}
	*m = append(*m, *u)
}

// AddAll takes note of the marks of a later run of units.
func (m *Marks) AddAll(later Marks) {
	for i := range later {
		m.Add(&later[i])
	}
}
