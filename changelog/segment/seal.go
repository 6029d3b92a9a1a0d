package segment

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"slices"

	"cdc/changelog"
	"cdc/changelog/vfs"
	"cdc/schema"
)

// blockBytes is the size of a block's units: large enough to compress well, small enough for one core's cache.
const blockBytes = 1 << 20

// Sealer writes a segment in the sealed form. It is for one goroutine.
type Sealer struct {
	file       vfs.File
	id         ID
	versions   changelog.Versions
	compressor *Compressor
	columns    ColumnEncoder
	payload    []byte
	out        []byte
	body       hash.Hash
	end        int64
	footer     Footer
	block      Block
	sides      bool // the block has units whose changes lie elsewhere
	lastSeen   schema.VersionID
	unit       changelog.Unit
}

// NewSealer begins a sealed segment in an empty file. versions tells the table of each change, which the index keeps.
func NewSealer(file vfs.File, h Header, dictionary []byte, versions changelog.Versions) (*Sealer, error) {
	h.Form = FormSealed
	s := &Sealer{
		file: file, id: h.ID, versions: versions, compressor: NewCompressor(LevelSmall), body: sha256.New(),
		footer: Footer{First: h.First, Next: h.First},
	}
	s.columns.Reset()
	s.begin()
	if err := s.write(h.Append(nil)); err != nil {
		return nil, err
	}
	return s, s.writeFrame(FrameHeader{Type: FrameDictionary, First: h.First}, dictionary)
}

// begin starts a block.
func (s *Sealer) begin() {
	s.block = Block{Pos: s.end, First: s.footer.Next}
	s.sides, s.lastSeen = false, 0
}

// Add adds the units of a frame, which begin where the last ones ended.
func (s *Sealer) Add(raw []byte) error {
	for len(raw) > 0 {
		size, err := changelog.DecodeUnit(raw, &s.unit)
		if err != nil {
			return err
		}
		if s.unit.Meta.First != s.footer.Next {
			return fmt.Errorf("%w: a unit of offset %d where %d is next", changelog.ErrUnit, s.unit.Meta.First, s.footer.Next)
		}
		if s.columns.Units() > 0 && (s.columns.Bytes()+size > blockBytes || s.columns.Full()) {
			if err := s.flush(); err != nil {
				return err
			}
		}
		if err := s.index(&s.unit); err != nil {
			return err
		}
		s.columns.Add(raw[:size])
		raw = raw[size:]
	}
	return nil
}

// index takes note of a unit.
func (s *Sealer) index(u *changelog.Unit) error {
	if ref, ok := u.Side(); ok {
		s.footer.Sides = append(s.footer.Sides, ref.ID)
		s.sides = true
	}
	err := u.ChangeVersions(func(id schema.VersionID) {
		if id == s.lastSeen {
			return
		}
		s.lastSeen = id
		if t := s.versions.Version(id); t != nil {
			if at, found := slices.BinarySearch(s.block.Tables, t.ID); !found {
				s.block.Tables = slices.Insert(s.block.Tables, at, t.ID)
			}
		}
	})
	if err != nil {
		return err
	}
	u.LoadPosition()
	s.block.Last.Add(&u.Meta)
	s.footer.Next += changelog.Offset(u.Meta.Count)
	return nil
}

// flush writes the block.
func (s *Sealer) flush() error {
	s.payload = s.columns.AppendPayload(s.payload[:0])
	s.block.Count = uint64(s.footer.Next - s.block.First)
	if s.sides {
		s.block.Tables = nil
	} else if s.block.Tables == nil {
		s.block.Tables = []schema.TableID{}
	}
	h := FrameHeader{Type: FrameBlock, First: s.block.First, Count: s.block.Count, Units: uint32(s.columns.Units())}
	s.block.Pos = s.end
	s.footer.Blocks = append(s.footer.Blocks, s.block)
	if err := s.writeFrame(h, s.payload); err != nil {
		return err
	}
	s.columns.Reset()
	s.begin()
	return nil
}

// Finish writes the last block, the footer and the trailer and makes the file durable.
func (s *Sealer) Finish() (*Footer, error) {
	if s.columns.Units() > 0 {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	f := &s.footer
	slices.Sort(f.Sides)
	f.Sides = slices.Compact(f.Sides)
	f.Pos = s.end
	s.body.Sum(f.Body[:0])
	payload := f.Append(nil)
	f.Hash = sha256.Sum256(payload)
	h := FrameHeader{Type: FrameFooter, First: f.First, Count: uint64(f.Next - f.First)}
	if err := s.writeFrame(h, payload); err != nil {
		return nil, err
	}
	if err := s.write(s.id.AppendTrailer(nil, f.Pos)); err != nil {
		return nil, err
	}
	return f, s.file.Sync()
}

func (s *Sealer) writeFrame(h FrameHeader, payload []byte) error {
	var err error
	if s.out, err = s.compressor.AppendFrame(s.out[:0], h, payload); err != nil {
		return err
	}
	s.id.Seal(s.out, s.end, 0)
	return s.write(s.out)
}

func (s *Sealer) write(b []byte) error {
	if _, err := s.file.WriteAt(b, s.end); err != nil {
		return err
	}
	s.body.Write(b)
	s.end += int64(len(b))
	return nil
}

// errBody says that a sealed segment's body is not what its footer says.
var errBody = fmt.Errorf("%w: body does not have the hash that its footer says", ErrFormat)

// CheckBody reads the whole body of a sealed segment and compares its hash with the footer's.
func (r *Reader) CheckBody(f *Footer) error {
	sum := sha256.New()
	buf := make([]byte, blockBytes)
	for at := int64(0); at < f.Pos; {
		n, err := r.file.ReadAt(buf[:min(int64(len(buf)), f.Pos-at)], at)
		if n == 0 {
			return r.corrupt(at, 0, errors.Join(errShort, err))
		}
		sum.Write(buf[:n])
		at += int64(n)
	}
	if [32]byte(sum.Sum(nil)) != f.Body {
		return r.corrupt(0, f.First, errBody)
	}
	return nil
}
