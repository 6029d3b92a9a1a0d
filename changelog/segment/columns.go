package segment

import (
	"encoding/binary"
	"fmt"

	"cdc/changelog"
)

// A block holds units in columns, so that what is alike lies together. Its payload is
//
//	u8 version, uvarint units, uvarint bytes of the units as they were, uvarint bytes of each section, the sections
//
// The sections, in order, a value for each unit unless said otherwise:
//
//	shapes     what most units share, each distinct one once: u8 kind, u8 flags, and as uvarints source, epoch, bytes of the
//	           position, and 1 when the unit has catalog records, else 0
//	shape      uvarint, its place in shapes
//	counts     uvarint, offsets taken
//	sizes      uvarint, bytes of the change section
//	xids       varint, the difference to the unit before of the same shape
//	times      varint, commit time, likewise
//	clocks     varint, clock less commit time
//	positions  for each four bytes, read as a big-endian number, the difference modulo 2³² to those of the unit before of the same
//	           shape, as a varint of 32 bits; then the up to three bytes left over
//	records    for each unit with catalog records: uvarint records, uvarint bytes of the catalog section
//	catalogs   the catalog sections
//	changes    the change sections
//
// The first offset of each unit follows from the frame's first offset and the counts.
const (
	columnShapes = iota
	columnShape
	columnCounts
	columnSizes
	columnXIDs
	columnTimes
	columnClocks
	columnPositions
	columnRecords
	columnCatalogs
	columnChanges
	columnCount
)

// columnsVersion is the version of the payload. Stored; a change of it takes the next number.
const columnsVersion = 1

// Places in the fixed part of a unit; see docs/formats/unit.md.
const (
	unitHeaderBytes    = 64
	unitKind           = 4
	unitFlags          = 5
	unitSource         = 6
	unitEpoch          = 8
	unitPositionBytes  = 12
	unitCatalogRecords = 16
	unitCatalogBytes   = 20
	unitFirst          = 24
	unitCountAt        = 32
	unitXID            = 40
	unitCommitTime     = 48
	unitClock          = 56
)

// shape is what most units share.
type shape struct {
	kind, flags byte
	source      uint16
	epoch       uint32
	position    uint32
	catalog     bool
}

// shapeState is the unit last seen of a shape.
type shapeState struct {
	shape
	xid, time uint64
	last      []byte // position
}

// ColumnEncoder turns units into the payload of a block. It is reused and for one goroutine.
type ColumnEncoder struct {
	columns [columnCount][]byte
	shapes  map[shape]int
	states  []shapeState
	units   uint64
	bytes   uint64
}

// Reset empties the encoder.
func (c *ColumnEncoder) Reset() {
	for i := range c.columns {
		c.columns[i] = c.columns[i][:0]
	}
	c.shapes, c.states, c.units, c.bytes = map[shape]int{}, c.states[:0], 0, 0
}

// Bytes is the size of the units added.
func (c *ColumnEncoder) Bytes() int { return int(c.bytes) }

// Units is the number of units added.
func (c *ColumnEncoder) Units() uint64 { return c.units }

// Full reports whether another unit might not fit the block's limits, whatever its size.
func (c *ColumnEncoder) Full() bool { return len(c.states) >= maxShapes }

func (c *ColumnEncoder) uint(column int, v uint64) {
	c.columns[column] = binary.AppendUvarint(c.columns[column], v)
}

func (c *ColumnEncoder) int(column int, v int64) {
	c.columns[column] = binary.AppendVarint(c.columns[column], v)
}

// Add adds one whole unit, which has been decoded before and found good.
func (c *ColumnEncoder) Add(unit []byte) {
	le := binary.LittleEndian
	s := shape{
		kind: unit[unitKind], flags: unit[unitFlags], source: le.Uint16(unit[unitSource:]), epoch: le.Uint32(unit[unitEpoch:]),
		position: le.Uint32(unit[unitPositionBytes:]), catalog: le.Uint32(unit[unitCatalogRecords:]) != 0,
	}
	id, state := c.shapeOf(s)
	c.uint(columnShape, uint64(id))
	c.uint(columnCounts, le.Uint64(unit[unitCountAt:]))
	xid, time := le.Uint64(unit[unitXID:]), le.Uint64(unit[unitCommitTime:])
	c.int(columnXIDs, int64(xid-state.xid))
	c.int(columnTimes, int64(time-state.time))
	c.int(columnClocks, int64(le.Uint64(unit[unitClock:])-time))
	state.xid, state.time = xid, time
	rest := unit[unitHeaderBytes:]
	c.position(state, rest[:s.position])
	rest = rest[s.position:]
	if s.catalog {
		size := le.Uint32(unit[unitCatalogBytes:])
		c.uint(columnRecords, uint64(le.Uint32(unit[unitCatalogRecords:])))
		c.uint(columnRecords, uint64(size))
		c.columns[columnCatalogs] = append(c.columns[columnCatalogs], rest[:size]...)
		rest = rest[size:]
	}
	c.uint(columnSizes, uint64(len(rest)))
	c.columns[columnChanges] = append(c.columns[columnChanges], rest...)
	c.units++
	c.bytes += uint64(len(unit))
}

// shapeOf is the state of a shape, which is added when it is new.
func (c *ColumnEncoder) shapeOf(s shape) (int, *shapeState) {
	id, known := c.shapes[s]
	if !known {
		id = len(c.states)
		c.shapes[s] = id
		c.states = append(c.states, shapeState{shape: s, last: make([]byte, s.position)})
		c.columns[columnShapes] = append(c.columns[columnShapes], s.kind, s.flags)
		c.uint(columnShapes, uint64(s.source))
		c.uint(columnShapes, uint64(s.epoch))
		c.uint(columnShapes, uint64(s.position))
		catalog := uint64(0)
		if s.catalog {
			catalog = 1
		}
		c.uint(columnShapes, catalog)
	}
	return id, &c.states[id]
}

func (c *ColumnEncoder) position(state *shapeState, position []byte) {
	at := 0
	for ; at+4 <= len(position); at += 4 {
		was, is := binary.BigEndian.Uint32(state.last[at:]), binary.BigEndian.Uint32(position[at:])
		c.int(columnPositions, int64(int32(is-was)))
	}
	c.columns[columnPositions] = append(c.columns[columnPositions], position[at:]...)
	copy(state.last, position)
}

// AppendPayload appends the block's payload to dst.
func (c *ColumnEncoder) AppendPayload(dst []byte) []byte {
	dst = append(dst, columnsVersion)
	dst = binary.AppendUvarint(dst, c.units)
	dst = binary.AppendUvarint(dst, c.bytes)
	for _, column := range c.columns {
		dst = binary.AppendUvarint(dst, uint64(len(column)))
	}
	for _, column := range c.columns {
		dst = append(dst, column...)
	}
	return dst
}

// ColumnDecoder turns the payload of a block back into units. It is reused and for one goroutine.
type ColumnDecoder struct {
	columns [columnCount]decoder
	states  []shapeState
}

// AppendUnits appends the units of a block's payload, the first of which has the offset first, to dst.
func (c *ColumnDecoder) AppendUnits(dst, payload []byte, first changelog.Offset) ([]byte, error) {
	head := decoder{b: payload}
	if version := head.take(1); len(version) == 1 && version[0] != columnsVersion {
		return dst, fmt.Errorf("%w: block version %d, this build reads %d", ErrFormat, version[0], columnsVersion)
	}
	units, size := head.uint(MaxRawBytes/unitHeaderBytes), head.uint(MaxRawBytes)
	var sizes [columnCount]uint64
	for i := range sizes {
		sizes[i] = head.uint(MaxRawBytes)
	}
	for i := range sizes {
		c.columns[i] = decoder{b: head.take(sizes[i])}
	}
	if len(head.b) != 0 {
		head.fail("bytes after the columns")
	}
	if head.err != nil {
		return dst, head.err
	}
	if err := c.readShapes(); err != nil {
		return dst, err
	}
	end := len(dst) + int(size)
	if cap(dst) < end {
		dst = append(make([]byte, 0, end), dst...)
	}
	for ; units > 0; units-- {
		count, err := c.appendUnit(&dst, end, uint64(first))
		if err != nil {
			return dst, err
		}
		first += changelog.Offset(count)
	}
	return dst, c.checkEnd(len(dst), end)
}

// readShapes reads the shapes.
func (c *ColumnDecoder) readShapes() error {
	c.states = c.states[:0]
	d := &c.columns[columnShapes]
	for len(d.b) > 0 {
		var s shape
		if b := d.take(2); b != nil {
			s.kind, s.flags = b[0], b[1]
		}
		s.source, s.epoch = uint16(d.uint(1<<16-1)), uint32(d.uint(1<<32-1))
		s.position, s.catalog = uint32(d.uint(changelog.MaxPositionBytes)), d.uint(1) == 1
		if d.err != nil || len(c.states) >= maxShapes {
			return fmt.Errorf("%w: shapes of a block", ErrFormat)
		}
		c.states = append(c.states, shapeState{shape: s, last: make([]byte, s.position)})
	}
	return d.err
}

// maxShapes bounds the shapes of one block: what is made of them in memory stays below the size of a block.
const maxShapes = 1 << 10

// appendUnit appends the next unit to dst, which may grow up to end, and returns how many offsets it takes.
func (c *ColumnDecoder) appendUnit(dst *[]byte, end int, first uint64) (uint64, error) {
	id := c.columns[columnShape].uint(maxShapes)
	if id >= uint64(len(c.states)) {
		return 0, fmt.Errorf("%w: unknown shape %d", ErrFormat, id)
	}
	s := &c.states[id]
	count, rest := c.columns[columnCounts].uint(1<<62), c.columns[columnSizes].uint(MaxRawBytes)
	s.xid += uint64(c.columns[columnXIDs].int())
	s.time += uint64(c.columns[columnTimes].int())
	clock := s.time + uint64(c.columns[columnClocks].int())
	var records, catalog uint64
	if s.catalog {
		records, catalog = c.columns[columnRecords].uint(1<<32-1), c.columns[columnRecords].uint(MaxRawBytes)
	}
	size := unitHeaderBytes + uint64(s.position) + catalog + rest
	if size > uint64(end-len(*dst)) {
		return 0, fmt.Errorf("%w: units are larger than their block says", ErrFormat)
	}
	var head [unitHeaderBytes]byte
	le := binary.LittleEndian
	le.PutUint32(head[:], uint32(size-4))
	head[unitKind], head[unitFlags] = s.kind, s.flags
	le.PutUint16(head[unitSource:], s.source)
	le.PutUint32(head[unitEpoch:], s.epoch)
	le.PutUint32(head[unitPositionBytes:], s.position)
	le.PutUint32(head[unitCatalogRecords:], uint32(records))
	le.PutUint32(head[unitCatalogBytes:], uint32(catalog))
	le.PutUint64(head[unitFirst:], first)
	le.PutUint64(head[unitCountAt:], count)
	le.PutUint64(head[unitXID:], s.xid)
	le.PutUint64(head[unitCommitTime:], s.time)
	le.PutUint64(head[unitClock:], clock)
	b := append(*dst, head[:]...)
	c.readPosition(s)
	b = append(b, s.last...)
	b = append(b, c.columns[columnCatalogs].take(catalog)...)
	*dst = append(b, c.columns[columnChanges].take(rest)...)
	return count, nil
}

// readPosition moves the shape's position on to the next unit's.
func (c *ColumnDecoder) readPosition(s *shapeState) {
	at := 0
	for ; at+4 <= len(s.last); at += 4 {
		was := binary.BigEndian.Uint32(s.last[at:])
		binary.BigEndian.PutUint32(s.last[at:], was+uint32(c.columns[columnPositions].int()))
	}
	copy(s.last[at:], c.columns[columnPositions].take(uint64(len(s.last)-at)))
}

// checkEnd reports columns that ended early or hold more than their units.
func (c *ColumnDecoder) checkEnd(got, want int) error {
	for i := range c.columns {
		if d := &c.columns[i]; d.err != nil || len(d.b) != 0 {
			return fmt.Errorf("%w: column %d of a block does not fit its units", ErrFormat, i)
		}
	}
	if got != want {
		return fmt.Errorf("%w: units are smaller than their block says", ErrFormat)
	}
	return nil
}
