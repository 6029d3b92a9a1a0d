package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cdc/changelog"
	"cdc/sources/mysql/binlog"
)

// Flavour says how a server names transactions.
type Flavour uint8

// Flavours. The numbers are stored; do not change them.
const (
	FlavourFile    Flavour = 1 // by file and position: MySQL without GTIDs
	FlavourMySQL   Flavour = 2 // by sets of GTIDs
	FlavourMariaDB Flavour = 3 // by the last GTID of each domain
)

// Position is a place in the binlog: everything before it has been handled.
type Position struct {
	Flavour Flavour
	// File and Offset are the place on the server that was read, where the next event begins.
	File   string
	Offset uint64
	// GTIDs is what has been handled of a MySQL server with GTIDs, Maria of a MariaDB server.
	GTIDs *binlog.GTIDSet
	Maria *binlog.MariaPos
	// From, of a MariaDB server, is where to read on, when that is before Maria: transactions that are prepared, and perhaps
	// committed later, stand between the two. Nil stands for Maria. MySQL has no need of it: the GTIDs of such transactions are not
	// in its set.
	From *binlog.MariaPos

	last last
}

// Marks stand before what a position may have besides: From and the last transaction. They are in no GTID.
const (
	fromMark = '|'
	lastMark = '#'
)

// readFrom is where a MariaDB server is read on.
func (p *Position) readFrom() *binlog.MariaPos {
	if p.From != nil {
		return p.From
	}
	return p.Maria
}

// ErrPosition is the cause of every error about bytes that are not a position of this package.
var ErrPosition = errors.New("bytes are not a MySQL position")

// FormatPosition encodes p: the flavour, the offset as uvarint, the length of the file's name and the name, and the GTIDs as text;
// From and the last transaction behind marks.
func FormatPosition(p *Position) changelog.Position {
	b := make([]byte, 0, 128)
	b = append(b, byte(p.Flavour))
	b = binary.AppendUvarint(b, p.Offset)
	b = append(binary.AppendUvarint(b, uint64(len(p.File))), p.File...)
	switch p.Flavour {
	case FlavourMySQL:
		b, _ = p.GTIDs.AppendText(b) // it never fails
	case FlavourMariaDB:
		b, _ = p.Maria.AppendText(b)
		if p.From != nil {
			b, _ = p.From.AppendText(append(b, fromMark))
		}
	case FlavourFile:
	}
	if p.last.stamp != 0 {
		b = p.last.append(append(b, lastMark), p.Flavour)
	}
	return changelog.Position(b)
}

// ParsePosition decodes what FormatPosition encoded.
func ParsePosition(text changelog.Position) (*Position, error) {
	if text == "" {
		return nil, ErrPosition
	}
	p := &Position{Flavour: Flavour(text[0])}
	r := numbers{rest: []byte(text[1:])}
	p.Offset = r.next()
	p.File = string(r.take(r.next()))
	if r.bad {
		return nil, ErrPosition
	}
	gtids, rest, known := bytes.Cut(r.rest, []byte{lastMark})
	err := p.parseGTIDs(string(gtids))
	if err == nil && known {
		p.last, err = parseLast(rest, p.Flavour)
	}
	if err != nil {
		return nil, fmt.Errorf("parse position: %w", errors.Join(err, ErrPosition))
	}
	return p, nil
}

func (p *Position) parseGTIDs(text string) (err error) {
	switch p.Flavour {
	case FlavourMySQL:
		p.GTIDs, err = binlog.ParseGTIDSet(text)
	case FlavourMariaDB:
		maria, from, apart := strings.Cut(text, string(fromMark))
		p.Maria, err = binlog.ParseMariaPos(maria)
		if err == nil && apart {
			p.From, err = binlog.ParseMariaPos(from)
		}
	case FlavourFile:
		if text != "" {
			err = ErrPosition
		}
	default:
		err = ErrPosition
	}
	return err
}

// numbers reads an encoded position; bad says that it ended too early.
type numbers struct {
	rest []byte
	bad  bool
}

func (r *numbers) next() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// take is the next n bytes, none when there are fewer.
func (r *numbers) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

// PositionText is the position for people: the GTIDs, or file and offset where there are none.
func PositionText(p changelog.Position) string {
	if p == "" {
		return "none"
	}
	at, err := ParsePosition(p)
	if err != nil {
		return "unreadable"
	}
	return at.String()
}

// String is the position for people.
func (p *Position) String() string {
	switch p.Flavour {
	case FlavourMySQL:
		return p.GTIDs.String()
	case FlavourMariaDB:
		return p.Maria.String()
	case FlavourFile:
	}
	return p.place().String()
}

// ParseMoment reads what follows the word GTID in a moment: a set of GTIDs, the last GTIDs of MariaDB's domains, or file:offset.
func ParseMoment(moment string) (changelog.Position, error) {
	moment = strings.TrimSpace(moment)
	p := &Position{}
	if set, err := binlog.ParseGTIDSet(moment); err == nil && !set.Empty() {
		p.Flavour, p.GTIDs = FlavourMySQL, set
		return FormatPosition(p), nil
	}
	if maria, err := binlog.ParseMariaPos(moment); err == nil && !maria.Empty() {
		p.Flavour, p.Maria = FlavourMariaDB, maria
		return FormatPosition(p), nil
	}
	i := strings.LastIndexByte(moment, ':')
	if i > 0 {
		if offset, err := strconv.ParseUint(moment[i+1:], 10, 64); err == nil {
			p.Flavour, p.File, p.Offset = FlavourFile, moment[:i], offset
			return FormatPosition(p), nil
		}
	}
	return "", fmt.Errorf("%q is no set of GTIDs: write uuid:1-5, MariaDB's domain-server-sequence, or file:position", moment)
}

// After reports whether the unit holds something that the moment does not include. It is monotone over a source's units.
func After(moment, unit changelog.Position) bool {
	return compare(moment, unit, func(m, u *Position) bool {
		switch m.Flavour {
		case FlavourMySQL:
			return !u.GTIDs.IsSubset(m.GTIDs)
		case FlavourMariaDB:
			return !u.Maria.IsSubset(m.Maria)
		}
		return u.place().after(m.place())
	})
}

// Reached reports whether the unit holds everything that the moment includes.
func Reached(moment, unit changelog.Position) bool {
	return compare(moment, unit, func(m, u *Position) bool {
		switch m.Flavour {
		case FlavourMySQL:
			return m.GTIDs.IsSubset(u.GTIDs)
		case FlavourMariaDB:
			return m.Maria.IsSubset(u.Maria)
		}
		return !m.place().after(u.place())
	})
}

// compare reads both positions; what cannot be compared is neither after nor reached.
func compare(moment, unit changelog.Position, f func(m, u *Position) bool) bool {
	m, errM := ParsePosition(moment)
	u, errU := ParsePosition(unit)
	if errM != nil || errU != nil || m.Flavour != u.Flavour && m.Flavour != FlavourFile {
		return false
	}
	return f(m, u)
}

// place is a position within the files of one server.
type place struct {
	file   string
	offset uint64
}

func (p *Position) place() place { return place{p.File, p.Offset} }

func (p place) String() string { return p.file + ":" + strconv.FormatUint(p.offset, 10) }

// after reports whether p is behind o. Files are numbered: a longer name has more digits.
func (p place) after(o place) bool {
	switch {
	case p.file == o.file:
		return p.offset > o.offset
	case len(p.file) != len(o.file):
		return len(p.file) > len(o.file)
	}
	return p.file > o.file
}

// forgetPlace makes the place unknown where transactions have names: it may be that of a server whose place this one has taken.
func (p *Position) forgetPlace() {
	if p.Flavour != FlavourFile {
		p.File, p.Offset = "", 0
	}
}

// passed reports whether all that lies before a server's end has been handled. The names of what was handled tell it, or the place on
// that server, if it is known: names are left out of a position while an XA transaction is prepared.
func (p *Position) passed(end *Position) bool {
	switch {
	case p.Flavour == FlavourMySQL && end.GTIDs.IsSubset(p.GTIDs), p.Flavour == FlavourMariaDB && end.Maria.IsSubset(p.Maria):
		return true
	}
	return !end.place().after(p.place())
}

// clone is a copy that shares nothing.
func (p *Position) clone() *Position {
	c := *p
	if p.GTIDs != nil {
		c.GTIDs = p.GTIDs.Clone()
	}
	if p.Maria != nil {
		c.Maria = p.Maria.Clone()
	}
	if p.From != nil {
		c.From = p.From.Clone()
	}
	return &c
}
