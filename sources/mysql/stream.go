package mysql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
	"cdc/sources/mysql/value"
)

// output takes the stream's transactions. A sources.Writer is one.
type output interface {
	Change(r *sources.Row) error
	Truncate(t *schema.Table, o changelog.TruncateOptions) error
	Message(prefix, content []byte) error
	Commit(ctx context.Context, c sources.Commit) (changelog.Offset, error)
	Rollback() error
	Tick(ctx context.Context, p changelog.Position, t changelog.Micros) (changelog.Offset, error)
	SourceTime(t changelog.Micros)
	Moved()
}

// guide decides what the stream cannot know by itself.
type guide interface {
	// resolve finds the version of a table that the events after its TABLE_MAP are packed in. It is called within a transaction.
	resolve(ctx context.Context, m *described) (*relation, error)
	// statement does what a DDL statement does, within its transaction, and reports whether it is to be kept.
	statement(ctx context.Context, s *binlog.Statement, text []byte) (keep bool, err error)
	// rows says what statement-based changes of the tables mean: an error when one of them is captured.
	rows(s *binlog.Statement, text []byte) error
	// unread says that captured tables, nobody knows which, were changed by what is not read, within the open transaction.
	unread(why string)
	// idle is called when the server has nothing to send. What it finds out is committed.
	idle(ctx context.Context) error
	// withDefaults completes a new row that lacks columns.
	withDefaults(r *relation, dst, packed []byte) ([]byte, error)
	// boundary is called between transactions. It reports whether tables must be resolved anew.
	boundary(ctx context.Context, at *Position) (anew bool, err error)
}

// described is a table as TABLE_MAP describes it at one place.
type described struct {
	schema, name string
	m            *binlog.TableMap
	format       *binlog.Format
}

// event source of a stream.
type events interface{ next() ([]byte, error) }

// stream turns the events of one connection into transactions.
type stream struct {
	feed   events
	out    output
	guide  guide
	remedy string
	// at is what has been handled. It belongs to the stream's goroutine; handled is its place, for others.
	at      Position
	handled placeBox
	// rested is what had been handled on MariaDB when it had last nothing to send.
	rested atomic.Pointer[binlog.MariaPos]
	// sourceTime is the server's own clock as last heard of, 0 when it is not known yet.
	sourceTime *atomic.Int64
	ticks      ticker
	// quiet is what the server's clock showed at the last heartbeat, 0 when there was none yet.
	quiet changelog.Micros

	format   binlog.Format
	checksum binlog.Checksum
	inflater binlog.Inflater
	payload  binlog.Payload

	group     group
	relations map[uint64]*relation
	byName    map[tableName]*relation
	prepared  prepared
	// undone has the groups of which parts were undone; nil where they cannot be read again.
	undone map[groupName][]span
	// read is the last transaction of each domain of a MariaDB server that has come on this connection, handled before or not.
	read *binlog.MariaPos

	// before, after and document are reused for the rows of one change, and updates for the differences of its JSON values.
	before, after, document []byte
	updates                 []value.JSONUpdate
	row                     sources.Row
}

// group is what one GTID covers: a transaction, a statement, or the preparation of an XA transaction.
type group struct {
	named bool // a GTID event has been read
	mysql binlog.GTID
	maria binlog.MariaGTID
	// open says that rows may come, until a commit.
	open bool
	// skip says that the log has it already, void that it has no effect.
	skip, void bool
	// alone says that the next statement is all of it (MariaDB).
	alone bool
	// committed is when, in µs since 1970; 0 when only the header of the last event says so.
	committed changelog.Micros
	// stamp and begins tell the group from another one of the same name, see last.
	stamp  uint64
	begins place
	// xa is set between XA START and the end of the preparation: the events of its rows are kept.
	xa *xaTransaction
	// parts are for what is undone within the group.
	parts parts
}

type tableName struct{ schema, name string }

// placeBox is a place that several goroutines look at.
type placeBox struct {
	mu sync.Mutex // guards at
	at place
}

func (b *placeBox) set(p place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = p
}

func (b *placeBox) get() place {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

// reached reports whether everything before the place has been handled.
func (st *stream) reached(file string, offset uint64) bool {
	return !place{file, offset}.after(st.handled.get())
}

// hasRested reports whether everything in the position had been handled when the server of MariaDB had last nothing to send.
func (st *stream) hasRested(p *binlog.MariaPos) bool {
	at := st.rested.Load()
	return at != nil && p.IsSubset(at)
}

// run reads until the connection fails.
func (st *stream) run(ctx context.Context) error {
	if st.at.Flavour == FlavourFile {
		st.handled.set(st.at.place()) // else the server chooses where to begin, and says so
	}
	defer st.payload.Close()
	for {
		raw, err := st.feed.next()
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		e, err := binlog.Split(raw, st.checksum)
		if err != nil {
			return st.corrupt(err)
		}
		st.move(&e)
		if err := st.event(ctx, e); err != nil {
			return err
		}
	}
}

// move notes where the event ends. Events that the server made for the stream are in no file.
func (st *stream) move(e *binlog.Event) {
	switch {
	case e.Flags&binlog.FlagArtificial != 0, e.Type == binlog.TypeHeartbeat, e.Type == binlog.TypeHeartbeatV2, e.Type == binlog.TypeRotate:
	case e.NextPos != 0:
		// 32 bits of the offset: files of one huge transaction are longer.
		next := st.at.Offset&^0xffffffff | uint64(e.NextPos)
		if next < st.at.Offset {
			next += 1 << 32
		}
		st.at.Offset = next
	case e.Type != binlog.TypeFormatDescription:
		st.at.Offset += uint64(e.Size) // MariaDB from 11.4 on leaves it out of most events
	}
}

func (st *stream) event(ctx context.Context, e binlog.Event) error {
	if st.group.stamp == 0 && st.at.Flavour == FlavourMariaDB {
		st.group.stamp = mariaStamp(&e)
	}
	if st.group.xa != nil && (e.Type == binlog.TypeTableMap || e.Type.IsRows()) {
		return st.keepXA(&e)
	}
	if e.Type.IsRows() {
		return st.rows(ctx, e)
	}
	switch e.Type {
	case binlog.TypeTableMap:
		return st.tableMap(ctx, e)
	case binlog.TypeGTID, binlog.TypeGTIDTagged, binlog.TypeAnonymousGTID:
		return st.gtid(e)
	case binlog.TypeMariaGTID:
		return st.mariaGTID(e)
	case binlog.TypeQuery, binlog.TypeMariaQueryCompressed:
		return st.query(ctx, e)
	case binlog.TypeXID:
		return st.commit(ctx, e)
	case binlog.TypeXAPrepare:
		return st.xaPrepare(ctx, e)
	case binlog.TypeTransactionPayload:
		return st.unpack(ctx, e)
	case binlog.TypeFormatDescription, binlog.TypeRotate, binlog.TypeHeartbeat, binlog.TypeHeartbeatV2:
		return st.control(ctx, e)
	case binlog.TypeIncident:
		return st.incident(e)
	case binlog.TypeViewChange:
		st.group.stamp = 0 // each member of a replication group writes this for itself, at a time of its own
		return st.outside(ctx)
	case binlog.TypePreviousGTIDs, binlog.TypeStop, binlog.TypeRowsQuery, binlog.TypeIgnorable, binlog.TypeMariaAnnotateRows,
		binlog.TypeMariaBinlogCheckpoint, binlog.TypeMariaGTIDList, binlog.TypeTransactionContext:
		return st.outside(ctx)
	case binlog.TypeIntVar, binlog.TypeRand, binlog.TypeUserVar:
		return nil // of a statement that follows, and is judged
	}
	if e.Flags&binlog.FlagIgnorable != 0 {
		return nil
	}
	return st.corrupt(fmt.Errorf("event of kind %s, which this build cannot read", e.Type))
}

// outside notes that an event between transactions has been passed.
func (st *stream) outside(ctx context.Context) error {
	if st.group.named || st.group.open {
		return nil
	}
	return st.passed(ctx)
}

// passed says that everything before the place has been handled.
func (st *stream) passed(ctx context.Context) error {
	st.handled.set(st.at.place())
	st.out.Moved()
	anew, err := st.guide.boundary(ctx, &st.at)
	if anew {
		st.forget()
	}
	return err
}

func (st *stream) control(ctx context.Context, e binlog.Event) error {
	switch e.Type {
	case binlog.TypeFormatDescription:
		f, err := binlog.ParseFormat(e)
		if err != nil {
			return st.corrupt(err)
		}
		st.format, st.checksum = f, f.Checksum
		clear(st.byName)
		clear(st.relations)
	case binlog.TypeRotate:
		r, err := binlog.ParseRotate(e)
		if err != nil {
			return st.corrupt(err)
		}
		if string(r.File) != st.at.File {
			st.at.File = string(r.File)
		}
		st.at.Offset = r.Position
	default:
		h, err := binlog.ParseHeartbeat(e)
		if err != nil {
			return st.corrupt(err)
		}
		return st.heartbeat(ctx, h)
	}
	return st.outside(ctx)
}

// heartbeat means that the server has nothing to send up to the place. It ticks with the time of the heartbeat before it.
func (st *stream) heartbeat(ctx context.Context, h binlog.Heartbeat) error {
	if st.group.named || st.group.open {
		return nil
	}
	if string(h.File) != st.at.File {
		st.at.File = string(h.File)
	}
	st.at.Offset = h.Position
	if st.at.Flavour == FlavourMariaDB {
		st.rested.Store(st.at.Maria.Clone())
	}
	if err := st.passed(ctx); err != nil {
		return err
	}
	// What the clock shows now may be later than a commit that is still on its way.
	now := st.quiet
	st.quiet = changelog.Micros(st.sourceTime.Load())
	if now == 0 {
		return nil
	}
	if err := st.guide.idle(ctx); err != nil {
		return st.named(err)
	}
	if _, err := st.out.Commit(ctx, sources.Commit{Position: FormatPosition(&st.at), Time: now}); err != nil {
		return err
	}
	return st.tick(ctx, now)
}

// tick records how far the stream has come, at most once a second.
func (st *stream) tick(ctx context.Context, t changelog.Micros) error {
	if t == 0 || !st.ticks.due(time.Now()) {
		return nil
	}
	_, err := st.out.Tick(ctx, FormatPosition(&st.at), t)
	return err
}

func (st *stream) gtid(e binlog.Event) error {
	g, err := binlog.ParseGTID(e)
	if err == nil && st.group.open {
		err = errOpen
	}
	if err != nil {
		return st.corrupt(err)
	}
	st.group = group{
		named: true, mysql: g.GTID, committed: changelog.Micros(g.ImmediateCommit),
		stamp: g.OriginalCommit, begins: place{st.at.File, st.at.Offset - uint64(e.Size)},
	}
	st.group.skip = st.at.Flavour == FlavourMySQL && g.GTID.GNO != 0 && st.at.GTIDs.Contains(g.GTID)
	return nil
}

var errOpen = errors.New("a transaction begins within another")

func (st *stream) mariaGTID(e binlog.Event) error {
	g, err := binlog.ParseMariaGTIDEvent(e)
	if err == nil && st.group.open {
		err = errOpen
	}
	if err != nil {
		return st.corrupt(err)
	}
	st.group = group{named: true, maria: g.GTID, alone: g.Flags&binlog.MariaStandalone != 0}
	st.group.skip = st.at.Flavour == FlavourMariaDB && st.at.Maria.Contains(g.GTID)
	if st.read == nil && st.at.Flavour == FlavourMariaDB {
		st.read = st.at.readFrom().Clone()
	}
	// The statement takes effect with its second part, if at all.
	st.group.void = g.Extra&(binlog.MariaStartAlter|binlog.MariaRollbackAlter) != 0
	if g.Flags&binlog.MariaPreparedXA != 0 {
		st.group.xa = &xaTransaction{xid: cloneXID(g.XID)}
	}
	st.group.open = !st.group.alone
	return nil
}

// finish ends a group: it has been handled.
func (st *stream) finish(ctx context.Context, e *binlog.Event) error {
	if !st.group.skip {
		st.at.add(&st.group)
	}
	if st.read != nil {
		st.read.Add(st.group.maria)
		st.at.From = st.prepared.from()
	}
	return st.deliver(ctx, e)
}

// deliver commits what the group has brought at the position that st.at has come to.
func (st *stream) deliver(ctx context.Context, e *binlog.Event) error {
	g := &st.group
	committed := g.committed
	if committed == 0 {
		committed = changelog.Micros(e.Timestamp) * 1_000_000
	}
	if g.parts.again {
		return st.readAgain()
	}
	st.out.SourceTime(changelog.Micros(st.sourceTime.Load()))
	n, err := st.out.Commit(ctx, sources.Commit{Position: FormatPosition(&st.at), XID: g.number(), Time: committed})
	skipped := g.skip
	*g = group{}
	if err != nil {
		return err
	}
	// What is read once more lies before the place that the log has come to.
	if err := st.passed(ctx); err != nil || n != 0 || skipped {
		return err
	}
	return st.tick(ctx, committed)
}

// number is the transaction's number among those of its server or domain.
func (g *group) number() uint64 {
	if g.mysql.GNO != 0 {
		return g.mysql.GNO
	}
	return g.maria.Seq
}

// commit ends a transaction.
func (st *stream) commit(ctx context.Context, e binlog.Event) error {
	if !st.group.open {
		return st.corrupt(errors.New("a commit outside a transaction"))
	}
	return st.finish(ctx, &e)
}

func (st *stream) unpack(ctx context.Context, e binlog.Event) error {
	if err := st.payload.Open(e); err != nil {
		return st.corrupt(err)
	}
	for {
		inner, err := st.payload.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return st.corrupt(err)
		}
		if err := st.event(ctx, inner); err != nil {
			return err
		}
	}
}

// corrupt makes a named stop of what cannot be read; stops pass.
func (st *stream) corrupt(err error) error {
	var stop *sources.Stop
	if errors.As(err, &stop) {
		return err
	}
	return &sources.Stop{Stop: changelog.Stop{
		Kind: changelog.StopCorrupt, Position: FormatPosition(&st.at),
		Detail: fmt.Sprintf("the binlog cannot be read at %s: %v", st.at.place(), err), Remedy: st.remedy,
	}}
}

func (st *stream) incident(e binlog.Event) error {
	i, err := binlog.ParseIncident(e)
	if err != nil {
		return st.corrupt(err)
	}
	return &sources.Stop{Stop: changelog.Stop{
		Kind: changelog.StopGap, Position: FormatPosition(&st.at),
		Detail: fmt.Sprintf("the server says at %s that its binlog lacks changes: %s", st.at.place(), i.Message), Remedy: st.remedy,
	}}
}

// ticker lets something happen at most once a second, and about once a second when it is asked for as often.
type ticker struct{ next time.Time }

func (t *ticker) due(now time.Time) bool {
	if now.Before(t.next) {
		return false
	}
	t.next = t.next.Add(time.Second)
	if t.next.Before(now) {
		t.next = now.Add(time.Second)
	}
	return true
}
