package binlog

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// GTIDSet is a set of transactions of MySQL servers: what a server has executed, or how far we have read. The zero value is empty.
// It is no value to be copied; Clone copies it.
type GTIDSet struct {
	sources []gtidSource // by UUID and tag
	last    int          // where Add added last; the next one most likely belongs there, too
}

// gtidSource are the transactions with one UUID and tag.
type gtidSource struct {
	uuid      UUID
	tag       Tag
	intervals []interval // by number, none empty, none touching the next
}

// interval holds the numbers from first up to, but without, next.
type interval struct{ first, next uint64 }

func (s *gtidSource) compare(o *gtidSource) int {
	return cmp.Or(bytes.Compare(s.uuid[:], o.uuid[:]), bytes.Compare(s.tag.bytes(), o.tag.bytes()))
}

// Add adds one transaction and tells whether it was not in the set. It allocates nothing when it extends an interval.
func (s *GTIDSet) Add(g GTID) bool {
	if g.GNO == 0 || g.GNO > gnoMax {
		return false
	}
	if s.last >= len(s.sources) || g.compareSource(s.sources[s.last].uuid, &s.sources[s.last].tag) != 0 {
		s.last = s.source(g)
	}
	return s.sources[s.last].add(g.GNO)
}

// source is the place of a transaction's source, which it makes when there is none.
func (s *GTIDSet) source(g GTID) int {
	i, found := s.find(g)
	if !found {
		s.sources = slices.Insert(s.sources, i, gtidSource{uuid: g.UUID, tag: g.Tag})
	}
	return i
}

func (s *GTIDSet) find(g GTID) (int, bool) {
	return slices.BinarySearchFunc(s.sources, g, func(source gtidSource, g GTID) int {
		return -g.compareSource(source.uuid, &source.tag)
	})
}

// add adds a number. Numbers mostly come in order: then the last interval grows.
func (s *gtidSource) add(gno uint64) bool {
	if n := len(s.intervals); n > 0 && s.intervals[n-1].next == gno {
		s.intervals[n-1].next++
		return true
	}
	i := s.after(gno)
	switch {
	case i > 0 && gno < s.intervals[i-1].next:
		return false
	case i > 0 && gno == s.intervals[i-1].next:
		s.intervals[i-1].next++
		if i < len(s.intervals) && s.intervals[i].first == gno+1 {
			s.intervals[i-1].next = s.intervals[i].next
			s.intervals = slices.Delete(s.intervals, i, i+1)
		}
	case i < len(s.intervals) && s.intervals[i].first == gno+1:
		s.intervals[i].first = gno
	default:
		s.intervals = slices.Insert(s.intervals, i, interval{gno, gno + 1})
	}
	return true
}

// after is the place of the first interval that begins after gno.
func (s *gtidSource) after(gno uint64) int {
	i, _ := slices.BinarySearchFunc(s.intervals, gno, func(iv interval, gno uint64) int {
		if iv.first > gno {
			return 1
		}
		return -1
	})
	return i
}

func (s *gtidSource) contains(first, next uint64) bool {
	i := s.after(first)
	return i > 0 && next <= s.intervals[i-1].next
}

// Contains tells whether a transaction is in the set.
func (s *GTIDSet) Contains(g GTID) bool {
	i, found := s.find(g)
	return found && g.GNO != 0 && s.sources[i].contains(g.GNO, g.GNO+1)
}

// Last is the transaction with the largest number among those with the UUID and no tag.
func (s *GTIDSet) Last(uuid UUID) (GTID, bool) {
	i, found := s.find(GTID{UUID: uuid})
	if !found {
		return GTID{}, false
	}
	intervals := s.sources[i].intervals
	return GTID{UUID: uuid, GNO: intervals[len(intervals)-1].next - 1}, true
}

// IsSubset tells whether every transaction of the set is in other, as the server's GTID_SUBSET does.
func (s *GTIDSet) IsSubset(other *GTIDSet) bool {
	for i := range s.sources {
		source := &s.sources[i]
		j, found := other.find(GTID{UUID: source.uuid, Tag: source.tag})
		if !found {
			return false
		}
		for _, iv := range source.intervals {
			if !other.sources[j].contains(iv.first, iv.next) {
				return false
			}
		}
	}
	return true
}

// Union adds all transactions of other.
func (s *GTIDSet) Union(other *GTIDSet) {
	for i := range other.sources {
		from := &other.sources[i]
		to := &s.sources[s.source(GTID{UUID: from.uuid, Tag: from.tag})]
		to.intervals = slices.Concat(to.intervals, from.intervals)
		to.normalize()
	}
}

// normalize sorts intervals and joins those that touch.
func (s *gtidSource) normalize() {
	slices.SortFunc(s.intervals, func(a, b interval) int { return cmp.Compare(a.first, b.first) })
	kept := s.intervals[:0]
	for _, iv := range s.intervals {
		if n := len(kept); n > 0 && iv.first <= kept[n-1].next {
			kept[n-1].next = max(kept[n-1].next, iv.next)
			continue
		}
		kept = append(kept, iv)
	}
	s.intervals = kept
}

// Minus is what the set has and other has not, as the server's GTID_SUBTRACT.
func (s *GTIDSet) Minus(other *GTIDSet) *GTIDSet {
	result := &GTIDSet{}
	for i := range s.sources {
		source := &s.sources[i]
		var without []interval
		if j, found := other.find(GTID{UUID: source.uuid, Tag: source.tag}); found {
			without = other.sources[j].intervals
		}
		if left := subtract(source.intervals, without); len(left) > 0 {
			result.sources = append(result.sources, gtidSource{source.uuid, source.tag, left})
		}
	}
	return result
}

func subtract(from, without []interval) (left []interval) {
	for _, iv := range from {
		for len(without) > 0 && without[0].next <= iv.first {
			without = without[1:]
		}
		for _, hole := range without {
			if hole.first >= iv.next {
				break
			}
			if hole.first > iv.first {
				left = append(left, interval{iv.first, hole.first})
			}
			iv.first = hole.next
			if iv.first >= iv.next {
				break
			}
		}
		if iv.first < iv.next {
			left = append(left, iv)
		}
	}
	return left
}

// Equal tells whether both sets hold the same transactions.
func (s *GTIDSet) Equal(other *GTIDSet) bool {
	return slices.EqualFunc(s.sources, other.sources, func(a, b gtidSource) bool {
		return a.uuid == b.uuid && a.tag == b.tag && slices.Equal(a.intervals, b.intervals)
	})
}

// Empty tells whether the set holds no transaction.
func (s *GTIDSet) Empty() bool { return len(s.sources) == 0 }

// Tagged tells whether a transaction of the set has a tag. Servers before 8.3 do not read such a set.
func (s *GTIDSet) Tagged() bool {
	return slices.ContainsFunc(s.sources, func(source gtidSource) bool { return source.tag.length > 0 })
}

// Clone is a copy that shares nothing with the set.
func (s *GTIDSet) Clone() *GTIDSet {
	c := &GTIDSet{sources: slices.Clone(s.sources), last: s.last}
	for i := range c.sources {
		c.sources[i].intervals = slices.Clone(c.sources[i].intervals)
	}
	return c
}

// AppendText appends the set as the server prints it, but on one line: uuid:1-5:7:tag:1-3,uuid:1. Equal sets have equal texts.
func (s *GTIDSet) AppendText(b []byte) ([]byte, error) {
	for i := range s.sources {
		source := &s.sources[i]
		if i == 0 || source.uuid != s.sources[i-1].uuid {
			if i > 0 {
				b = append(b, ',')
			}
			b, _ = source.uuid.AppendText(b)
		}
		if source.tag.length > 0 {
			b = append(append(b, ':'), source.tag.bytes()...)
		}
		for _, iv := range source.intervals {
			b = strconv.AppendUint(append(b, ':'), iv.first, 10)
			if iv.next > iv.first+1 {
				b = strconv.AppendUint(append(b, '-'), iv.next-1, 10)
			}
		}
	}
	return b, nil
}

// String is the set as AppendText writes it.
func (s *GTIDSet) String() string {
	b, _ := s.AppendText(nil)
	return string(b)
}

// MarshalText is AppendText.
func (s *GTIDSet) MarshalText() ([]byte, error) { return s.AppendText(nil) }

// ParseGTIDSet reads the text of a set: uuids, each followed by intervals, each of which may have a tag before it that holds until
// the next tag. White space may stand around the separators, as the server breaks lines there. Parts may overlap and be in any
// order. The empty text is the empty set.
func ParseGTIDSet(text string) (*GTIDSet, error) {
	s := &GTIDSet{}
	if strings.TrimSpace(text) == "" {
		return s, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		if err := s.parsePart(part); err != nil {
			return nil, err
		}
	}
	s.compact()
	return s, nil
}

// parsePart reads one uuid with its intervals and appends them, in any order.
func (s *GTIDSet) parsePart(part string) error {
	head, tail, found := strings.Cut(part, ":")
	uuid, err := ParseUUID(strings.TrimSpace(head))
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("read GTID set: %w: no interval after %s", ErrMalformed, uuid)
	}
	source := gtidSource{uuid: uuid}
	for field := range strings.SplitSeq(tail, ":") {
		field = strings.TrimSpace(field)
		if field == "" || field[0] < '0' || field[0] > '9' {
			if field == "" || source.tag.length > 0 && len(source.intervals) == 0 {
				return fmt.Errorf("read GTID set: %w: no interval", ErrMalformed)
			}
			s.push(source)
			source = gtidSource{uuid: uuid}
			if source.tag, err = ParseTag(field); err != nil {
				return err
			}
			continue
		}
		iv, err := parseInterval(field)
		if err != nil {
			return err
		}
		source.intervals = append(source.intervals, iv)
	}
	if len(source.intervals) == 0 {
		return fmt.Errorf("read GTID set: %w: no interval", ErrMalformed)
	}
	s.push(source)
	return nil
}

func (s *GTIDSet) push(source gtidSource) {
	if len(source.intervals) > 0 {
		s.sources = append(s.sources, source)
	}
}

func parseInterval(text string) (interval, error) {
	low, high, found := strings.Cut(text, "-")
	if !found {
		high = low
	}
	first, err := strconv.ParseUint(strings.TrimSpace(low), 10, 63)
	last, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 63)
	if err != nil || err2 != nil || first == 0 || last < first || last > gnoMax {
		return interval{}, fmt.Errorf("read GTID interval %.50q: %w", text, ErrMalformed)
	}
	return interval{first, last + 1}, nil
}

// compact makes a set of sources that are in any order and may be there twice.
func (s *GTIDSet) compact() {
	slices.SortStableFunc(s.sources, func(a, b gtidSource) int { return a.compare(&b) })
	kept := s.sources[:0]
	for i := range s.sources {
		if n := len(kept); n > 0 && kept[n-1].compare(&s.sources[i]) == 0 {
			kept[n-1].intervals = append(kept[n-1].intervals, s.sources[i].intervals...)
			continue
		}
		kept = append(kept, s.sources[i])
	}
	for i := range kept {
		kept[i].normalize()
	}
	s.sources = kept
	s.last = 0
}

// The binary form begins with the number of sources in eight bytes; with tags, the first and the last byte are 1 and the number
// stands between them (mysql-server, sql/rpl_gtid_set.cc: encode_nsids_format).
const (
	taggedSetFormat = 1
	taggedSetMask   = 1<<48 - 1
)

// ParsePreviousGTIDs reads a PREVIOUS_GTIDS: what the server had executed when it began the file.
func ParsePreviousGTIDs(e Event) (*GTIDSet, error) {
	s, err := DecodeGTIDSet(e.Body)
	if err != nil {
		return nil, fmt.Errorf("read %s event: %w", e.Type, err)
	}
	return s, nil
}

// DecodeGTIDSet reads the binary form of a set.
func DecodeGTIDSet(b []byte) (*GTIDSet, error) {
	r := reader{b: b}
	count := r.u64()
	tagged := count>>56 == taggedSetFormat
	if tagged {
		count = count >> 8 & taggedSetMask
	}
	s := &GTIDSet{}
	for ; count > 0 && !r.bad; count-- {
		var source gtidSource
		copy(source.uuid[:], r.take(len(source.uuid)))
		if tagged {
			source.tag = readTag(&r)
		}
		readIntervals(&r, &source)
		s.push(source)
	}
	if r.bad || len(r.b) != 0 {
		return nil, fmt.Errorf("read GTID set: %w", ErrMalformed)
	}
	s.compact()
	return s, nil
}

const intervalBytes = 16

func readIntervals(r *reader, source *gtidSource) {
	n := r.u64()
	if n > uint64(len(r.b)/intervalBytes) {
		r.fail()
		return
	}
	source.intervals = make([]interval, n)
	for i := range source.intervals {
		iv := interval{r.u64(), r.u64()}
		if iv.first == 0 || iv.next <= iv.first || iv.next > gnoMax+1 {
			r.fail()
		}
		source.intervals[i] = iv
	}
}

// AppendBinary appends the binary form, which COM_BINLOG_DUMP_GTID takes.
func (s *GTIDSet) AppendBinary(b []byte) ([]byte, error) {
	count, tagged := uint64(len(s.sources)), s.Tagged()
	if tagged {
		count = taggedSetFormat<<56 | count<<8 | taggedSetFormat
	}
	b = binary.LittleEndian.AppendUint64(b, count)
	for i := range s.sources {
		source := &s.sources[i]
		b = append(b, source.uuid[:]...)
		if tagged {
			b = append(append(b, source.tag.length<<1), source.tag.bytes()...)
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(len(source.intervals)))
		for _, iv := range source.intervals {
			b = binary.LittleEndian.AppendUint64(b, iv.first)
			b = binary.LittleEndian.AppendUint64(b, iv.next)
		}
	}
	return b, nil
}
