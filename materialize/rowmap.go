package materialize

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// rowMap holds rows by key in a few large byte slices, with a hash table of numbers over them: the garbage collector sees no
// pointer however many rows there are. A row that fits where the one before it lay replaces it in place.
//
// A record in a chunk is a header and then the key and the row, with room to grow to the next multiple of 8:
//
//	0 u32 hash, low half     4 u32 table version
//	8 u32 bytes of the key  12 u32 bytes of the row  16 u32 bytes after the header  20 u32 times that the row counts, 0 = dead
type rowMap struct {
	seed   uint64
	slots  []uint64 // tag in the highest 16 bits, never zero, then the record's place
	chunks [][]byte
	ends   []int // bytes used of each chunk
	live   int   // keys held
	dead   int64 // bytes of dead records
	bytes  int64 // bytes of chunks
}

const (
	recordHeader = 24
	chunkBits    = 20
	chunkBytes   = 1 << chunkBits
	placeBits    = 48
	placeMask    = 1<<placeBits - 1
	tagBit       = 1 << 63
	// A map grows from these; small ones are made by the hundred when partitions are played.
	firstChunkBytes = 4 << 10
	firstSlots      = 1 << 6
	// compactBytes is how much must be dead before the chunks are written anew.
	compactBytes = 8 << 20
)

// place is where a record lies: the chunk's number, then the offset in it.
type place uint64

// record is a view over one record.
type record []byte

func (r record) hash() uint32      { return binary.LittleEndian.Uint32(r) }
func (r record) version() uint32   { return binary.LittleEndian.Uint32(r[4:]) }
func (r record) keyLen() int       { return int(binary.LittleEndian.Uint32(r[8:])) }
func (r record) rowLen() int       { return int(binary.LittleEndian.Uint32(r[12:])) }
func (r record) room() int         { return int(binary.LittleEndian.Uint32(r[16:])) }
func (r record) count() uint32     { return binary.LittleEndian.Uint32(r[20:]) }
func (r record) setCount(n uint32) { binary.LittleEndian.PutUint32(r[20:], n) }
func (r record) key() []byte       { return r[recordHeader : recordHeader+r.keyLen()] }
func (r record) row() []byte       { at := recordHeader + r.keyLen(); return r[at : at+r.rowLen()] }

func (r record) setRow(row []byte)       { r.setRowLen(len(row)); copy(r[recordHeader+r.keyLen():], row) }
func (r record) setRowLen(n int)         { binary.LittleEndian.PutUint32(r[12:], uint32(n)) }
func (r record) setVersion(v uint32)     { binary.LittleEndian.PutUint32(r[4:], v) }
func (m *rowMap) record(p place) record  { return m.chunks[p>>chunkBits][p&(chunkBytes-1):] }
func slotPlace(slot uint64) place        { return place(slot & placeMask) }
func slotTag(hash uint64) uint64         { return (hash | tagBit) &^ placeMask }
func (m *rowMap) home(hash uint32) int   { return int(hash) & (len(m.slots) - 1) }
func (m *rowMap) after(i int) int        { return (i + 1) & (len(m.slots) - 1) }
func (m *rowMap) hash(key []byte) uint64 { return hashBytes(m.seed, key) }

// memory is the bytes held.
func (m *rowMap) memory() int64 { return m.bytes + int64(len(m.slots))*8 }

// find is the slot of the key, and whether it holds it; otherwise the slot is the empty one where the key would go.
func (m *rowMap) find(key []byte, hash uint64) (int, bool) {
	tag := slotTag(hash)
	i := m.home(uint32(hash))
	for {
		slot := m.slots[i]
		if slot == 0 {
			return i, false
		}
		if slot&^placeMask == tag {
			if r := m.record(slotPlace(slot)); r.keyLen() == len(key) && bytes.Equal(r.key(), key) {
				return i, true
			}
		}
		i = m.after(i)
	}
}

// put sets the row of the key, which counts once.
func (m *rowMap) put(key []byte, hash uint64, version uint32, row []byte) {
	m.grow()
	i, found := m.find(key, hash)
	if found {
		r := m.record(slotPlace(m.slots[i]))
		if len(key)+len(row) <= r.room() {
			r.setVersion(version)
			r.setRow(row)
			r.setCount(1)
			return
		}
		m.bury(r)
		m.live--
	}
	m.slots[i] = slotTag(hash) | uint64(m.write(key, hash, version, row, 1))
	m.live++
}

// add makes the row count n times more.
func (m *rowMap) add(key []byte, hash uint64, version uint32, row []byte, n uint32) {
	m.grow()
	i, found := m.find(key, hash)
	if found {
		r := m.record(slotPlace(m.slots[i]))
		r.setCount(r.count() + n)
		return
	}
	m.slots[i] = slotTag(hash) | uint64(m.write(key, hash, version, row, n))
	m.live++
}

// drop makes the row count n times less, and removes it when nothing is left.
func (m *rowMap) drop(key []byte, hash uint64, n uint32) {
	if len(m.slots) == 0 {
		return
	}
	i, found := m.find(key, hash)
	if !found {
		return
	}
	if r := m.record(slotPlace(m.slots[i])); r.count() > n {
		r.setCount(r.count() - n)
		return
	}
	m.removeSlot(i)
}

// lookup is the record of the key, or nil.
func (m *rowMap) lookup(key []byte, hash uint64) record {
	if len(m.slots) == 0 {
		return nil
	}
	i, found := m.find(key, hash)
	if !found {
		return nil
	}
	return m.record(slotPlace(m.slots[i]))
}

// remove forgets the key.
func (m *rowMap) remove(key []byte, hash uint64) {
	if len(m.slots) == 0 {
		return
	}
	if i, found := m.find(key, hash); found {
		m.removeSlot(i)
	}
}

// removeSlot empties slot i and moves back what was pushed past it, so that no marker stays behind.
func (m *rowMap) removeSlot(i int) {
	m.bury(m.record(slotPlace(m.slots[i])))
	m.live--
	m.slots[i] = 0
	for j := m.after(i); m.slots[j] != 0; j = m.after(j) {
		home := m.home(m.record(slotPlace(m.slots[j])).hash())
		if (j-home)&(len(m.slots)-1) >= (j-i)&(len(m.slots)-1) {
			m.slots[i], m.slots[j] = m.slots[j], 0
			i = j
		}
	}
}

func (m *rowMap) bury(r record) {
	r.setCount(0)
	m.dead += int64(recordHeader + r.room())
}

// write appends a record and returns its place.
func (m *rowMap) write(key []byte, hash uint64, version uint32, row []byte, count uint32) place {
	room := (len(key) + len(row) + 7) &^ 7
	size := recordHeader + room
	chunk := len(m.chunks) - 1
	if chunk < 0 || m.ends[chunk]+size > len(m.chunks[chunk]) {
		length := max(min(int(m.bytes), chunkBytes), firstChunkBytes, size)
		m.chunks = append(m.chunks, make([]byte, length))
		m.ends = append(m.ends, 0)
		m.bytes += int64(length)
		chunk++
	}
	at := m.ends[chunk] // below chunkBytes: a larger chunk holds one record
	m.ends[chunk] += size
	r := m.chunks[chunk][at:]
	binary.LittleEndian.PutUint32(r, uint32(hash))
	binary.LittleEndian.PutUint32(r[4:], version)
	binary.LittleEndian.PutUint32(r[8:], uint32(len(key)))
	binary.LittleEndian.PutUint32(r[12:], uint32(len(row)))
	binary.LittleEndian.PutUint32(r[16:], uint32(room))
	binary.LittleEndian.PutUint32(r[20:], count)
	copy(r[recordHeader:], key)
	copy(r[recordHeader+len(key):], row)
	return place(chunk)<<chunkBits | place(at)
}

// grow keeps a quarter of the slots empty at least, and the chunks mostly alive.
func (m *rowMap) grow() {
	if m.dead > compactBytes && m.dead > m.bytes/2 {
		m.compact()
	}
	if (m.live+1)*4 <= len(m.slots)*3 {
		return
	}
	m.rehash(max(firstSlots, len(m.slots)*2))
}

// rehash makes a table of n slots over the records.
func (m *rowMap) rehash(n int) {
	old := m.slots
	m.slots = make([]uint64, n)
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		i := m.home(m.record(slotPlace(slot)).hash())
		for m.slots[i] != 0 {
			i = m.after(i)
		}
		m.slots[i] = slot
	}
}

// compact writes the live records into new chunks, in their order.
func (m *rowMap) compact() {
	old := rowMap{chunks: m.chunks, ends: m.ends}
	m.chunks, m.ends, m.bytes, m.dead = nil, nil, 0, 0
	clear(m.slots)
	old.each(func(r record) bool {
		hash := m.hash(r.key())
		i := m.home(uint32(hash))
		for m.slots[i] != 0 {
			i = m.after(i)
		}
		m.slots[i] = slotTag(hash) | uint64(m.write(r.key(), hash, r.version(), r.row(), r.count()))
		return true
	})
}

// each calls f with the live records in the order of their places, until it returns false.
func (m *rowMap) each(f func(record) bool) {
	m.places(func(_ place, r record) bool { return f(r) })
}

// places is each with the places.
func (m *rowMap) places(f func(place, record) bool) {
	for c, chunk := range m.chunks {
		for at := 0; at < m.ends[c]; {
			r := record(chunk[at:])
			if r.count() != 0 && !f(place(c)<<chunkBits|place(at), r) {
				return
			}
			at += recordHeader + r.room()
		}
	}
}

// clear forgets everything and gives the memory back.
func (m *rowMap) clear() { *m = rowMap{seed: m.seed} }

// Constants of the hash: odd, with as many ones as zeros.
const (
	hashK0 = 0x9e3779b97f4a7c15
	hashK1 = 0xd6e8feb86659fd93
)

// hashBytes is a hash for tables, in the manner of wyhash. The seed keeps a writer of keys from choosing collisions.
func hashBytes(seed uint64, b []byte) uint64 {
	h := seed ^ uint64(len(b))*hashK0
	for len(b) > 16 {
		h = mix(binary.LittleEndian.Uint64(b)^hashK1, binary.LittleEndian.Uint64(b[8:])^h)
		b = b[16:]
	}
	var lo, hi uint64
	switch {
	case len(b) >= 8:
		lo, hi = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[len(b)-8:])
	case len(b) >= 4:
		lo, hi = uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[len(b)-4:]))
	case len(b) > 0:
		lo = uint64(b[0])<<16 | uint64(b[len(b)/2])<<8 | uint64(b[len(b)-1])
	}
	return mix(hashK0, mix(lo^hashK1, hi^h))
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
