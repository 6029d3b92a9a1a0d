package mysql

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"cdc/changelog"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
)

// last is the last transaction that has been handled. Its name alone does not tell which one it is: a server that lost it in a crash,
// or whose binlog was reset, gives the name again. The zero value is none.
type last struct {
	// stamp is what another transaction of that name does not have: when it was committed on the server that executed it first, in µs
	// (MySQL), or what time its first event has, in seconds (MariaDB). Both are the same in the binlog of every replica. 0 is unknown.
	stamp uint64
	// mysql is its name on a server with GTIDs.
	mysql binlog.GTID
	// before is the transaction before it in its domain, from which a MariaDB server is read on; it has no Seq when there is none.
	before binlog.MariaGTID
	// begins is where it begins in the binlog of a server without GTIDs.
	begins place
}

// append encodes what is known of the transaction: the stamp as uvarint, then its name.
func (l *last) append(b []byte, f Flavour) []byte {
	b = binary.AppendUvarint(b, l.stamp)
	switch f {
	case FlavourMySQL:
		b = binary.AppendUvarint(append(b, l.mysql.UUID[:]...), l.mysql.GNO)
		return append(b, l.mysql.Tag.String()...)
	case FlavourMariaDB:
		b = binary.AppendUvarint(b, uint64(l.before.Domain))
		b = binary.AppendUvarint(b, uint64(l.before.Server))
		return binary.AppendUvarint(b, l.before.Seq)
	case FlavourFile:
	}
	return append(binary.AppendUvarint(b, l.begins.offset), l.begins.file...)
}

// parseLast decodes what append encoded.
func parseLast(b []byte, f Flavour) (l last, err error) {
	r := numbers{rest: b}
	l.stamp = r.next()
	switch f {
	case FlavourMySQL:
		copy(l.mysql.UUID[:], r.take(uint64(len(l.mysql.UUID))))
		l.mysql.GNO = r.next()
		l.mysql.Tag, err = binlog.ParseTag(string(r.rest))
	case FlavourMariaDB:
		l.before = binlog.MariaGTID{Domain: uint32(r.next()), Server: uint32(r.next()), Seq: r.next()}
	case FlavourFile:
		l.begins.offset = r.next()
		l.begins.file = string(r.rest)
	}
	if r.bad || l.stamp == 0 {
		err = ErrPosition
	}
	return l, err
}

// add says that the group has been handled. One without a stamp is not remembered as the last.
func (p *Position) add(g *group) {
	l := last{stamp: g.stamp, mysql: g.mysql, begins: g.begins}
	switch p.Flavour {
	case FlavourMySQL:
		p.GTIDs.Add(g.mysql)
	case FlavourMariaDB:
		l.before.Domain = g.maria.Domain
		if before, ok := p.Maria.Domain(g.maria.Domain); ok {
			l.before = before
		}
		p.Maria.Add(g.maria)
	case FlavourFile:
	}
	if g.stamp != 0 {
		p.last = l
	}
}

// mariaStamp is the stamp that an event gives its transaction, 0 when it gives none: it must be an event that no replica leaves out.
func mariaStamp(e *binlog.Event) uint64 {
	switch e.Type {
	case binlog.TypeTableMap, binlog.TypeQuery, binlog.TypeMariaQueryCompressed:
		return uint64(e.Timestamp)
	}
	return 0
}

// checkLast makes sure that the log's last transaction is the one that the server has under its name. When the server has the name and
// not the transaction any more, there is nothing to compare.
func (s *Source) checkLast(ctx context.Context, c *session, w *sources.Writer, srv server, at *Position, same bool) error {
	if at.last.stamp == 0 {
		return nil
	}
	end, err := s.current(c, srv)
	if err != nil {
		return err
	}
	from, err := s.beforeLast(c, at, end)
	if err != nil || from == nil {
		return err
	}
	stamp, err := s.readStamp(ctx, srv, at, from, end.place())
	if err != nil || stamp == 0 || stamp == at.last.stamp {
		return err
	}
	if !same {
		return s.foreign(w, at.lastText()+": it is another server")
	}
	return s.anotherLast(at)
}

// adoptLast takes the newest of the server's own transactions, or of those in its domain, for the last one handled, if it can be read: so
// a log that begins on an idle server is compared, too. The position must be the server's end.
func (s *Source) adoptLast(ctx context.Context, c *session, srv server, at *Position) error {
	if !at.nameOwn(srv) {
		return nil
	}
	from, err := s.beforeLast(c, at, at)
	if err == nil {
		at.last.stamp, err = s.readStamp(ctx, srv, at, from, at.place())
	}
	return err
}

// nameOwn names that transaction, if there is one.
func (p *Position) nameOwn(srv server) (ok bool) {
	switch p.Flavour {
	case FlavourMySQL:
		uuid, err := binlog.ParseUUID(srv.identity)
		p.last.mysql, ok = p.GTIDs.Last(uuid)
		return ok && err == nil
	case FlavourMariaDB:
		p.last.before, ok = p.Maria.Domain(srv.domain)
		p.last.before.Seq-- // where the numbers have a gap the server has no such GTID, and nothing is read
		return ok
	case FlavourFile:
	}
	return false
}

// beforeLast is a position behind which the server has the last transaction first, nil when it does not have its file any more.
func (s *Source) beforeLast(c *session, at, end *Position) (*Position, error) {
	from := &Position{Flavour: at.Flavour}
	switch at.Flavour {
	case FlavourMySQL:
		name := &binlog.GTIDSet{}
		name.Add(at.last.mysql)
		from.GTIDs = end.GTIDs.Minus(name)
	case FlavourMariaDB:
		from.Maria = &binlog.MariaPos{}
		for _, g := range end.Maria.GTIDs() {
			if g.Domain != at.last.before.Domain {
				from.Maria.Add(g)
			}
		}
		if at.last.before.Seq != 0 {
			from.Maria.Add(at.last.before)
		}
	case FlavourFile:
		from.File, from.Offset = at.last.begins.file, at.last.begins.offset
		return s.lastPlace(c, at, from)
	}
	return from, nil
}

// lastPlace makes sure that something begins at the place without GTIDs, where the server would else send what is none.
func (s *Source) lastPlace(c *session, at, from *Position) (*Position, error) {
	here, err := s.hasPlace(c, from)
	if err != nil || !here {
		return nil, err
	}
	begins, err := c.isBoundary(from.place())
	if err == nil && !begins {
		err = s.anotherLast(at)
	}
	return from, err
}

func (s *Source) anotherLast(at *Position) error {
	return s.stop(changelog.StopDiverged, at, at.lastText()+": its binlog was reset, or it lost its last writes in a crash and gave their names again")
}

// readStamp reads the last transaction's stamp from a position behind which it comes first. It is 0 when it does not come.
func (s *Source) readStamp(ctx context.Context, srv server, at, from *Position, end place) (uint64, error) {
	f, err := s.startFeed(ctx, srv, from)
	if err != nil {
		return 0, unlessLost(s.stopAt(s.classifyDump(err), at))
	}
	defer f.close()
	look := lookup{at: at, end: end, checksum: binlog.ChecksumDetect}
	for !look.done {
		raw, err := f.next()
		if err != nil {
			return 0, unlessLost(s.stopAt(s.classifyDump(err), at))
		}
		if err := look.event(raw); err != nil {
			return 0, s.stop(changelog.StopCorrupt, at, fmt.Sprintf("the binlog cannot be read where the log ends: %v", err))
		}
	}
	return look.stamp, nil
}

// unlessLost passes errors but those of a server that does not have what it was asked for. Whether it has what the log lacks, it says
// when it is asked for that.
func unlessLost(err error) error {
	var stop *sources.Stop
	if errors.As(err, &stop) && (stop.Kind == changelog.StopGap || stop.Kind == changelog.StopDiverged) {
		return nil
	}
	return err
}

// lookup finds the stamp of a position's last transaction, which is the first to come, without reading more than its first events. The
// stamp is 0 when another transaction comes, or none before the binlog's end.
type lookup struct {
	at       *Position
	end      place
	checksum binlog.Checksum
	found    bool // MariaDB's GTID has come, the stamp follows
	stamp    uint64
	done     bool
}

func (l *lookup) event(raw []byte) error {
	e, err := binlog.Split(raw, l.checksum)
	if err != nil {
		return err
	}
	switch e.Type {
	case binlog.TypeFormatDescription:
		var format binlog.Format
		format, err = binlog.ParseFormat(e)
		l.checksum = format.Checksum
	case binlog.TypeHeartbeat, binlog.TypeHeartbeatV2:
		var h binlog.Heartbeat
		h, err = binlog.ParseHeartbeat(e)
		l.done = !l.end.after(place{string(h.File), h.Position}) // a server that skips a long way says so, too
	case binlog.TypeGTID, binlog.TypeGTIDTagged, binlog.TypeAnonymousGTID:
		var g binlog.GTIDEvent
		g, err = binlog.ParseGTID(e)
		if l.done = true; l.at.Flavour == FlavourFile || g.GTID == l.at.last.mysql {
			l.stamp = g.OriginalCommit
		}
	case binlog.TypeMariaGTID:
		var g binlog.MariaGTIDEvent
		g, err = binlog.ParseMariaGTIDEvent(e)
		l.found = !l.found && g.GTID == l.at.lastMaria()
		l.done = !l.found
	default:
		if l.found {
			l.stamp = mariaStamp(&e)
			l.done = l.stamp != 0
		}
	}
	return err
}

// lastMaria is the last transaction's name on a MariaDB server.
func (p *Position) lastMaria() binlog.MariaGTID {
	g, _ := p.Maria.Domain(p.last.before.Domain)
	return g
}

// lastText names the transaction in what is said of it.
func (p *Position) lastText() string {
	name := p.last.begins.String()
	switch p.Flavour {
	case FlavourMySQL:
		name = p.last.mysql.String()
	case FlavourMariaDB:
		name = p.lastMaria().String()
	case FlavourFile:
	}
	return fmt.Sprintf("the log's last transaction, %s, is another one at the server", name)
}
