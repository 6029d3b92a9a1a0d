package mysql

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cdc/changelog"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
)

// checkIdentity makes sure that the server is of the kind that the log was made from.
func (s *Source) checkIdentity(_ *session, w *sources.Writer, srv server) error {
	info := w.Source()
	if want := info.Find(factFlavour); want != string(srv.flavour) {
		return s.foreign(w, fmt.Sprintf("the server is a %s, the log was made from a %s", srv.flavour, want))
	}
	return nil
}

// foreign is the stop of a server that is not ours: the log may not be written.
func (s *Source) foreign(w *sources.Writer, detail string) error {
	return &sources.Stop{Unrecorded: true, Stop: changelog.Stop{
		Kind: changelog.StopDiverged, Position: w.Progress().Position, Detail: detail,
		Remedy: "point the DSN at the server that the log was made from, or capture this one under another name",
	}}
}

// checkPosition makes sure that the server has everything that the log has, and still everything after it.
func (s *Source) checkPosition(ctx context.Context, c *session, w *sources.Writer, srv server, at *Position) error {
	if have := srv.positions(); have != at.Flavour {
		return s.stop(changelog.StopDiverged, at, "transactions of the server are named in another way than in the log: gtid_mode was changed")
	}
	info := w.Source()
	same := info.Find(factServer) == srv.identity
	if err := s.checkNames(ctx, c, w, srv, at, same); err != nil {
		return err
	}
	return s.checkLast(ctx, c, w, srv, at, same)
}

// checkNames does so by the names of transactions, and by places.
func (s *Source) checkNames(ctx context.Context, c *session, w *sources.Writer, srv server, at *Position, same bool) error {
	switch at.Flavour {
	case FlavourMySQL:
		return s.checkGTIDs(ctx, c, w, at, same)
	case FlavourMariaDB:
		return s.checkMaria(c, w, at, same)
	}
	if !same {
		return s.foreign(w, fmt.Sprintf("the server is another one (%s), and without GTIDs nothing tells where on it the log ends", srv.identity))
	}
	return s.checkFile(c, at)
}

func (s *Source) stop(kind changelog.StopKind, at *Position, detail string) error {
	return &sources.Stop{Stop: changelog.Stop{Kind: kind, Position: FormatPosition(at), Detail: detail, Remedy: s.resolveRemedy()}}
}

// checkGTIDs compares sets: the server must have executed all that the log has, and its binlog must hold all that the log has not. So
// a replica may take the server's place.
func (s *Source) checkGTIDs(ctx context.Context, c *session, w *sources.Writer, at *Position, same bool) error {
	executed, err := s.executed(ctx, c, at.GTIDs)
	if err != nil {
		return err
	}
	if !at.GTIDs.IsSubset(executed) {
		detail := fmt.Sprintf("the server has not executed %s, which the log holds", at.GTIDs.Minus(executed))
		if !same {
			return s.foreign(w, detail+": it is another server, or a replica that is behind")
		}
		return s.stop(changelog.StopDiverged, at, detail+": its binlog was reset, or it was restored from a backup")
	}
	text, err := c.gtidPurged()
	if err != nil {
		return err
	}
	purged, err := binlog.ParseGTIDSet(text)
	if err != nil {
		return err
	}
	if lost := purged.Minus(at.GTIDs); !lost.Empty() {
		return s.stop(changelog.StopGap, at, fmt.Sprintf("the server's binlog does not hold %s any more, which the log lacks", lost))
	}
	return nil
}

const (
	// committingPause is the pause between two looks at transactions that are being committed, committingMax how long they may take
	// until the whole of the check begins anew.
	committingPause = 20 * time.Millisecond
	committingMax   = 10 * time.Second
)

// executed is what the server has executed. A server sends a transaction once it is in the binlog, and counts it as executed only when
// its commit has ended: what the log holds of those that have an owner still is waited for.
func (s *Source) executed(ctx context.Context, c *session, held *binlog.GTIDSet) (*binlog.GTIDSet, error) {
	for began := time.Now(); ; {
		// In this order: a transaction that has no owner any more is among those executed.
		text, err := c.gtidOwned()
		if err != nil {
			return nil, err
		}
		owned, err := binlog.ParseGTIDSet(text)
		if err != nil {
			return nil, err
		}
		if text, err = c.gtidExecuted(); err != nil {
			return nil, err
		}
		executed, err := binlog.ParseGTIDSet(text)
		if err != nil {
			return nil, err
		}
		missing := held.Minus(executed)
		if missing.Minus(owned).Equal(missing) {
			return executed, nil
		}
		if time.Since(began) > committingMax {
			return nil, fmt.Errorf("the server is still committing %s", missing)
		}
		if err := sources.Pause(ctx, committingPause); err != nil {
			return nil, err
		}
	}
}

// checkMaria compares the last GTIDs of the domains. Their numbers start again when the binlog is reset, so on the same server the
// place in the files must have the same GTIDs, too.
func (s *Source) checkMaria(c *session, w *sources.Writer, at *Position, same bool) error {
	text, err := c.gtidBinlogPos()
	if err != nil {
		return err
	}
	has, err := binlog.ParseMariaPos(text)
	if err != nil {
		return err
	}
	if !at.Maria.IsSubset(has) {
		detail := fmt.Sprintf("the server's binlog ends at %q, the log holds %q", text, at.Maria)
		if !same {
			return s.foreign(w, detail+": it is another server, or a replica that is behind")
		}
		return s.stop(changelog.StopDiverged, at, detail+": its binlog was reset, or it was restored from a backup")
	}
	if !same {
		return s.checkMariaState(c, w, at)
	}
	return s.checkMariaPlace(c, at)
}

// checkMariaState makes sure that another server has our very transactions, and not its own under larger numbers: of each server that
// ever wrote into a domain, it knows the last one.
func (s *Source) checkMariaState(c *session, w *sources.Writer, at *Position) error {
	text, err := c.gtidBinlogState()
	if err != nil {
		return err
	}
	last := map[[2]uint32]uint64{} // by domain and server
	for one := range strings.SplitSeq(text, ",") {
		p, err := binlog.ParseMariaPos(one)
		if err != nil {
			return err
		}
		for _, g := range p.GTIDs() {
			last[[2]uint32{g.Domain, g.Server}] = g.Seq
		}
	}
	for _, g := range at.Maria.GTIDs() {
		if last[[2]uint32{g.Domain, g.Server}] < g.Seq {
			return s.foreign(w, fmt.Sprintf("the server's binlog does not have %s, which the log holds: it is another server, or a replica that is behind", g))
		}
	}
	return nil
}

func (s *Source) checkMariaPlace(c *session, at *Position) error {
	here, err := s.hasPlace(c, at)
	if err != nil || !here {
		return err // purged: whether what follows is there, the server says when it is asked for it
	}
	text, ok, err := c.gtidAt(at.File, at.Offset)
	if err != nil {
		return err
	}
	there, err := binlog.ParseMariaPos(text)
	if err != nil {
		return err
	}
	if !ok {
		// The server cannot read on in a file that holds an event larger than its max_allowed_packet, and says the same of a place
		// that is none.
		if ok, err = c.isBoundary(at.place()); err != nil || ok {
			return err
		}
	}
	if !ok || !there.Equal(at.Maria) {
		return s.stop(changelog.StopDiverged, at, fmt.Sprintf("at %s the server has GTID %q, the log %q: its binlog was reset", at.place(), text, at.Maria))
	}
	return nil
}

// checkFile makes sure that the place is there. A file that was reset has the same name.
func (s *Source) checkFile(c *session, at *Position) error {
	here, err := s.hasPlace(c, at)
	if err == nil && !here {
		err = s.stop(changelog.StopGap, at, fmt.Sprintf("the server does not have binlog %s any more, where the log ends", at.File))
	}
	return err
}

// hasPlace reports whether the server still has the file of the place. A file that ends before it is a stop.
func (s *Source) hasPlace(c *session, at *Position) (bool, error) {
	files, err := c.binlogFiles()
	if err != nil {
		return false, err
	}
	for _, f := range files {
		if f.name == at.File && f.bytes < at.Offset {
			err = s.stop(changelog.StopDiverged, at, fmt.Sprintf("the server's %s ends at %d, the log was at %s: its binlog was reset, or its last writes were lost in a crash",
				f.name, f.bytes, at.place()))
		}
		if f.name == at.File {
			return true, err
		}
	}
	return false, nil
}
