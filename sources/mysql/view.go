package mysql

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
)

const (
	// viewPatience bounds the wait for a server to show what it has sent us.
	viewPatience = 60 * time.Second
	viewPause    = 5 * time.Millisecond
	// settleTime is how long after it was sent a transaction is taken for visible where there are no GTIDs to tell.
	settleTime = time.Second
	// exactPatience bounds the tries for a view at one place of the binlog.
	exactPatience = 30 * time.Second

	beginView = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
)

// viewer opens views of the tables, of which it is known what they hold.
type viewer struct {
	*session
	is server
	// settling is a place of the binlog that had been sent at a time.
	settling place
	since    time.Time
	// after is a place of MariaDB's binlog before which everything is that afterOf had handled.
	after   place
	afterOf *Position
}

// openViewer connects.
func (s *Source) openViewer(ctx context.Context) (*viewer, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	v := &viewer{session: c}
	if v.is, err = c.server(); err == nil {
		err = c.readyForCopy(v.is.flavour == flavourMariaDB)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return v, nil
}

// end is where the binlog ends.
func (v *viewer) end() (place, error) {
	file, offset, _, err := v.binlogEnd()
	return place{file, offset}, err
}

// open opens a view that holds everything up to from, and gives a place in the binlog that everything it holds is before.
func (v *viewer) open(ctx context.Context, from *Position) (high place, err error) {
	if from.Flavour == FlavourMariaDB {
		return v.openMaria(ctx, from)
	}
	if err := v.await(ctx, func() (bool, error) { return v.shows(ctx, from) }); err != nil {
		return place{}, err
	}
	if err := v.exec(beginView); err != nil {
		return place{}, err
	}
	// The file and position, not the GTIDs: a transaction is in the binlog before others see it, and among the GTIDs only afterwards.
	return v.end()
}

// shows reports whether a view that is opened now holds everything up to from.
func (v *viewer) shows(ctx context.Context, from *Position) (bool, error) {
	if from.Flavour == FlavourFile {
		return v.settled(ctx, from.place())
	}
	text, err := v.gtidExecuted()
	if err != nil {
		return false, err
	}
	executed, err := binlog.ParseGTIDSet(text)
	return err == nil && from.GTIDs.IsSubset(executed), err
}

// settled waits until what is before the place can be taken for visible. A server sends a transaction once it is in the binlog, which
// is before others see it, by as long as the commit takes from there; without GTIDs it does not tell when that is over. With
// semi-synchronous replication it may be long, but then the server tells that it waits.
func (v *viewer) settled(ctx context.Context, at place) (bool, error) {
	if v.since.IsZero() || at.after(v.settling) {
		v.settling, v.since = at, time.Now()
	}
	if err := sources.Pause(ctx, time.Until(v.since.Add(settleTime))); err != nil {
		return false, err
	}
	rows, err := v.query("SHOW GLOBAL STATUS WHERE Variable_name IN ('Rpl_semi_sync_master_wait_sessions', 'Rpl_semi_sync_source_wait_sessions')")
	if err != nil {
		return false, err
	}
	for _, r := range rows {
		if r[1].s != "0" {
			return false, nil
		}
	}
	end, err := v.end()
	return !at.after(end), err
}

// openMaria opens a view and gives the place in the binlog that it stands at: it holds everything before that and nothing else.
func (v *viewer) openMaria(ctx context.Context, from *Position) (at place, err error) {
	err = v.await(ctx, func() (bool, error) {
		if at, err = v.snapshot(); err != nil {
			return false, err
		}
		reached, err := v.contains(at, from)
		if err == nil && !reached {
			err = v.exec("COMMIT")
		}
		return reached, err
	})
	return at, err
}

// snapshot opens a view of MariaDB.
func (v *viewer) snapshot() (place, error) {
	if err := v.exec(beginView); err != nil {
		return place{}, err
	}
	rows, err := v.query("SHOW STATUS WHERE Variable_name IN ('Binlog_snapshot_file', 'Binlog_snapshot_position')")
	if err != nil {
		return place{}, err
	}
	var at place
	for _, r := range rows {
		switch {
		case strings.EqualFold(r[0].s, "Binlog_snapshot_file"):
			at.file = r[1].s
		default:
			if at.offset, err = strconv.ParseUint(r[1].s, 10, 64); err != nil {
				return place{}, errResult
			}
		}
	}
	if at.file == "" {
		return place{}, errNoBinlog
	}
	return at, nil
}

// contains reports whether everything up to from is before the place.
func (v *viewer) contains(at place, from *Position) (bool, error) {
	if from.File != "" {
		return !from.place().after(at), nil
	}
	if v.afterOf != from {
		// The server reads the GTIDs before the place.
		file, offset, text, err := v.binlogEnd()
		if err != nil {
			return false, err
		}
		gtids, err := binlog.ParseMariaPos(text)
		if err != nil || !from.Maria.IsSubset(gtids) {
			return false, err
		}
		v.after, v.afterOf = place{file, offset}, from
	}
	return !v.after.after(at), nil
}

// await asks again and again.
func (v *viewer) await(ctx context.Context, ready func() (bool, error)) error {
	deadline := time.Now().Add(viewPatience)
	for {
		ok, err := ready()
		if ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server has sent transactions that it did not show within %s", viewPatience)
		}
		if err := sources.Pause(ctx, viewPause); err != nil {
			return err
		}
	}
}

// exactView is the tables as they were at one place of the binlog: it holds every transaction up to at and no other. It is for one
// goroutine.
type exactView struct {
	*viewer
	at    *Position
	taken changelog.Micros // the server's clock after it was opened
}

// openExact opens a view at one place of the binlog, at from or later; from may be nil. MySQL does not tell the place of a view: it is
// known when the binlog did not grow from before to after it, and nothing was on its way from the binlog to the tables. Under load
// that takes many tries.
func (s *Source) openExact(ctx context.Context, from *Position) (*exactView, error) {
	v, err := s.openViewer(ctx)
	if err != nil {
		return nil, err
	}
	e := &exactView{viewer: v}
	if err := e.open(ctx, from); err != nil {
		v.close()
		return nil, fmt.Errorf("take a snapshot of the tables: %w", err)
	}
	return e, nil
}

var errBusy = fmt.Errorf("the server committed without a pause for %s, and tells the place of a snapshot only within one; try again when it is quieter", exactPatience)

func (e *exactView) open(ctx context.Context, from *Position) error {
	deadline := time.Now().Add(exactPatience)
	for {
		at, err := e.try(ctx)
		if err != nil {
			return err
		}
		if at != nil && (from == nil || at.holds(from)) {
			e.at = at
			e.taken, err = e.now()
			return err
		}
		if time.Now().After(deadline) {
			return errBusy
		}
		if at != nil {
			if err := e.exec("COMMIT"); err != nil {
				return err
			}
		}
		if err := sources.Pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// holds reports whether p is at o or later, on one server.
func (p *Position) holds(o *Position) bool {
	switch {
	case p.Flavour == FlavourMySQL && o.Flavour == FlavourMySQL:
		return o.GTIDs.IsSubset(p.GTIDs)
	case o.File == "" && p.Maria != nil && o.Maria != nil:
		return o.Maria.IsSubset(p.Maria)
	}
	return !o.place().after(p.place())
}

// try opens a view and gives its place, nil when it has none that we know.
func (e *exactView) try(ctx context.Context) (*Position, error) {
	if e.is.flavour == flavourMariaDB {
		return e.tryMaria()
	}
	before, err := e.end()
	if err != nil {
		return nil, err
	}
	p := &Position{Flavour: e.is.positions(), File: before.file, Offset: before.offset}
	quiet, err := e.quiet(ctx, p)
	if err != nil || !quiet {
		return nil, err
	}
	if err := e.exec(beginView); err != nil {
		return nil, err
	}
	after, err := e.end()
	if err != nil {
		return nil, err
	}
	if after != before {
		return nil, e.exec("COMMIT")
	}
	return p, nil
}

// tryMaria opens a view of MariaDB, which tells its place, and asks for the GTIDs there. The server cannot read on in a file that
// holds an event larger than its max_allowed_packet; then they are known when the binlog did not grow meanwhile.
func (e *exactView) tryMaria() (*Position, error) {
	_, _, before, err := e.binlogEnd()
	if err != nil {
		return nil, err
	}
	at, err := e.snapshot()
	if err != nil {
		return nil, err
	}
	text, ok, err := e.gtidAt(at.file, at.offset)
	if err != nil {
		return nil, err
	}
	if !ok {
		file, offset, after, err := e.binlogEnd()
		if err != nil {
			return nil, err
		}
		if before != after || at != (place{file, offset}) {
			return nil, e.exec("COMMIT")
		}
		text = after
	}
	gtids, err := binlog.ParseMariaPos(text)
	return &Position{Flavour: FlavourMariaDB, File: at.file, Offset: at.offset, Maria: gtids}, err
}

// quiet reports whether all transactions before the place can be seen, and notes their GTIDs. A transaction's GTID has an owner from
// before it is written to the binlog until after it can be seen.
func (e *exactView) quiet(ctx context.Context, p *Position) (bool, error) {
	if p.Flavour == FlavourFile {
		return e.settled(ctx, p.place())
	}
	r, err := e.one("SELECT @@GLOBAL.gtid_owned, @@GLOBAL.gtid_executed")
	if err != nil {
		return false, err
	}
	p.GTIDs, err = binlog.ParseGTIDSet(withoutBreaks(r[1].s))
	return r[0].s == "", err
}

// rows calls f with every row of the table, packed in the version. The row is reused after the call.
func (e *exactView) rows(ctx context.Context, t *schema.Table, f func(row []byte) error) error {
	r, err := e.readerOf(t)
	if err != nil {
		return err
	}
	n := 0
	err = e.each(r.selects, func(fields [][]byte) error {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		packed, err := r.pack(fields)
		if err != nil {
			return err
		}
		return f(packed)
	})
	if codeOf(err) == errDefinitionChanged {
		return fmt.Errorf("table %s was altered after the snapshot: %w", t.FullName(), errors.Join(err, sources.ErrStale))
	}
	if err == nil && !r.info.snapshots() {
		err = e.still(&r.info)
	}
	if err != nil {
		return fmt.Errorf("read table %s: %w", t.FullName(), err)
	}
	return nil
}

// errDefinitionChanged is the server's number for a table whose definition is newer than the snapshot.
const errDefinitionChanged = 1412

// still makes sure that a table without snapshots was read as it was at the view's place.
func (e *exactView) still(t *tableInfo) error {
	end, err := e.end()
	if err == nil && end != e.at.place() {
		err = fmt.Errorf("tables of the engine %s have no snapshots, and the server was written to meanwhile; convert it to InnoDB, or try again when the server is quiet", t.engine)
	}
	return err
}
