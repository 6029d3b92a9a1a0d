package mysql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
)

// Kind is how the log names sources of this package.
const Kind = "mysql"

// Facts that identify a source in the log.
const (
	factFlavour  = "flavour"
	factServer   = "server_uuid"
	factDatabase = "database"
)

// Source is one server that is tailed. Ack and Progress may be called at any time; the other methods one at a time.
type Source struct {
	o        Options
	dsn      *dsn
	patterns *sources.PatternSet
	log      *slog.Logger
	// copying says that tables are being copied in chunks, or that it is not known yet whether they must be; whole that tables
	// without a key wait to be copied; late that it is still to be told which tables are not captured.
	copying, whole, late atomic.Bool
	// resumed is the log's position as the stream began, whose place may be that of another server; nil when this stream has come to it.
	resumed atomic.Pointer[changelog.Position]

	// undone are the parts of transactions that were undone, as streams before have found.
	undone map[groupName][]span

	mu        sync.Mutex // guards all below
	progress  sources.Progress
	estimates map[tableName]int64 // rows, as the server thinks
}

var _ sources.Source = (*Source)(nil)

// New makes a source. It does not connect.
func New(o Options) (*Source, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	d, err := parseDSN(o)
	if err != nil {
		return nil, err
	}
	patterns, err := sources.ParsePatterns(o.Name, o.Tables)
	if err != nil {
		return nil, err
	}
	s := &Source{o: o, dsn: d, patterns: patterns, log: o.Logger.With("source", o.Name), undone: map[groupName][]span{}}
	s.copying.Store(true)
	s.progress = sources.Progress{Phase: sources.PhaseConnecting, LagBytes: -1, HeldBytes: -1}
	return s, nil
}

// Warnings are what the user should know about the options, one sentence each.
func (s *Source) Warnings() []string { return s.dsn.warnings }

// Database is the name of the database that the connection string names, empty when it names none.
func (s *Source) Database() string { return s.dsn.database }

// Ack implements sources.Source. A MySQL server keeps its binlog by itself and is told nothing.
func (s *Source) Ack(changelog.Position) {}

// Progress implements sources.Source.
func (s *Source) Progress() sources.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.progress
	if p.Copy != nil {
		c := *p.Copy
		p.Copy = &c
	}
	p.Untracked = slices.Clone(p.Untracked)
	return p
}

func (s *Source) report(change func(*sources.Progress)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.progress)
}

// systemSchemas are never captured.
var systemSchemas = []string{"mysql", "information_schema", "performance_schema", "sys"}

// wants reports whether a table is to be captured: the patterns say so, or it lies in the DSN's database where there are none.
func (s *Source) wants(name tableName) bool {
	if slices.Contains(systemSchemas, name.schema) {
		return false
	}
	if len(s.patterns.Including()) == 0 && s.dsn.database != "" && name.schema != s.dsn.database {
		return false
	}
	return s.patterns.Wants(name.schema, name.name)
}

// Stream implements sources.Source.
func (s *Source) Stream(ctx context.Context, w *sources.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.copying.Store(true)
	s.report(func(p *sources.Progress) { p.Phase = sources.PhaseConnecting })
	if err := w.Abort(); err != nil {
		return err
	}
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	srv, err := s.fitServer(c)
	if err != nil {
		return err
	}
	if err := s.introduce(ctx, c, w, srv); err != nil {
		return err
	}
	if w.Progress().Position == "" {
		if err := s.begin(ctx, c, w, srv); err != nil {
			return err
		}
	}
	if err := w.Log().WaitDurable(ctx, w.Progress().Commit); err != nil {
		return fmt.Errorf("wait for the log: %w", err)
	}
	return s.follow(ctx, c, w, srv)
}

// fitServer is what the server is, if it can be captured.
func (s *Source) fitServer(c *session) (server, error) {
	srv, err := c.server()
	if err != nil {
		return srv, err
	}
	g, err := c.grants(srv)
	if err != nil {
		return srv, err
	}
	return srv, s.checkServer(srv, g)
}

// introduce makes the source known to the log, or its next epoch, or makes sure that the server is still the same.
func (s *Source) introduce(ctx context.Context, c *session, w *sources.Writer, srv server) error {
	if w.Source().Epoch != 0 && !s.nextEpochWanted(w) {
		return s.checkIdentity(c, w, srv)
	}
	return w.Introduce(ctx, Kind, []changelog.Fact{
		{Name: factFlavour, Value: string(srv.flavour)},
		{Name: factServer, Value: srv.identity},
		{Name: factDatabase, Value: s.dsn.database},
	})
}

// nextEpochWanted reports whether an operator has decided, in this epoch, that the source's history begins anew.
func (s *Source) nextEpochWanted(w *sources.Writer) bool {
	info := w.Source()
	starts := w.Log().Catalog().EpochStarts(info.ID)
	if len(starts) == 0 {
		return false
	}
	since := starts[len(starts)-1].From
	return slices.ContainsFunc(w.Log().Catalog().Decisions(), func(d changelog.DecisionRecord) bool {
		return d.Source == info.ID && d.Table == 0 && d.Offset > since && (d.Action == actionRecopy || d.Action == actionAcceptGap)
	})
}

// current is the server's end.
func (s *Source) current(c *session, srv server) (*Position, error) {
	file, offset, gtids, err := c.binlogEnd()
	if err != nil {
		return nil, err
	}
	p := &Position{Flavour: srv.positions(), File: file, Offset: offset}
	switch p.Flavour {
	case FlavourMySQL:
		p.GTIDs, err = binlog.ParseGTIDSet(gtids)
	case FlavourMariaDB:
		p.Maria, err = binlog.ParseMariaPos(gtids)
	case FlavourFile:
	}
	return p, err
}

// begin notes the place from which the stream is read, and the tables that must be copied. What the tables hold by then comes with
// their copies, chunk by chunk, and what happens to them from then on with the stream.
func (s *Source) begin(ctx context.Context, c *session, w *sources.Writer, srv server) error {
	at, err := s.current(c, srv)
	if err != nil {
		return err
	}
	if err := s.adoptLast(ctx, c, srv, at); err != nil {
		return err
	}
	at.forgetPlace() // the GTIDs may lack transactions before it, which the stream will bring
	now, err := c.now()
	if err != nil {
		return err
	}
	if err := s.checkPatterns(c); err != nil {
		return err
	}
	found, err := s.captureable(c)
	if err != nil {
		return err
	}
	var versions []*schema.Table
	columns := lastColumns(w.Log().Catalog())
	for i := range found {
		before, last := s.earlier(w, &found[i]), uint32(0)
		if before != nil {
			last = columns[before.ID]
		}
		v, err := found[i].version(s.o.Name, uint32(i+1), before, last)
		if err != nil {
			return &sources.Unfit{Detail: err.Error(), Remedy: "leave the table out: --tables '!" + schema.QuotedName(found[i].schema, found[i].name) + "'"}
		}
		if keyless(v) {
			v = w.Register(v)
			w.TableState(changelog.TableState{Table: v.ID, State: changelog.TableRewritten, Detail: "it has no key, and is copied as a whole"})
			continue
		}
		versions = append(versions, v)
	}
	if len(found) == 0 {
		_, err := w.Tick(ctx, FormatPosition(at), now)
		return err
	}
	return w.BeginCopies(ctx, versions, sources.Commit{Position: FormatPosition(at), Time: now})
}

// earlier is the table's version in an epoch before, whose column numbers are kept.
func (s *Source) earlier(w *sources.Writer, t *tableInfo) *schema.Table {
	for _, known := range w.Log().Catalog().TablesAt(newest) {
		if known.Table.Source == s.o.Name && known.Table.Schema == t.schema && known.Table.Name == t.name {
			return known.Table
		}
	}
	return nil
}

// checkPatterns makes sure that every pattern means something.
func (s *Source) checkPatterns(c *session) error {
	if len(s.patterns.All()) == 0 {
		return nil
	}
	all, err := c.tables(func(tableName) bool { return true })
	if err != nil {
		return err
	}
	for _, p := range s.patterns.All() {
		matches := func(t tableInfo) bool { return p.Matches(s.o.Name, t.schema, t.name) }
		if !slices.ContainsFunc(all, matches) {
			return &sources.Unfit{
				Detail: fmt.Sprintf("pattern %q matches no table", p),
				Remedy: "see the tables that the account may read with: SELECT table_schema, table_name FROM information_schema.tables",
			}
		}
	}
	return nil
}

// captureable are the tables that are wanted and can be captured; the others are reported.
func (s *Source) captureable(c *session) ([]tableInfo, error) {
	all, err := c.tables(s.wants)
	if err != nil {
		return nil, err
	}
	var untracked []string
	estimates := map[tableName]int64{}
	all = slices.DeleteFunc(all, func(t tableInfo) bool {
		estimates[tableName{t.schema, t.name}] = t.rows
		if why := t.obstacle(); why != "" {
			untracked = append(untracked, schema.QuotedName(t.schema, t.name)+": "+why)
			return true
		}
		return false
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.Untracked, s.estimates = untracked, estimates
	return all, nil
}

// follow streams what comes after the log's last position until the connection fails, and copies tables beside it.
func (s *Source) follow(ctx context.Context, c *session, w *sources.Writer, srv server) error {
	at, err := ParsePosition(w.Progress().Position)
	if err != nil {
		return err
	}
	if err := s.checkPosition(ctx, c, w, srv, at); err != nil {
		return err
	}
	resumed := w.Progress().Position
	s.resumed.Store(&resumed)
	at.forgetPlace()
	g := &tables{s: s, c: c, w: w, queue: newCopyQueue(&s.copying)}
	g.load()
	defer g.closeWhole()
	for _, t := range g.logged() {
		if t.State.State == changelog.TableCopying || t.State.State == changelog.TableRewritten {
			g.wait(t.Table)
		}
	}
	if g.late, err = s.captureable(c); err != nil {
		return err
	}
	if g.lateAt, err = s.current(c, srv); err != nil {
		return err
	}
	s.late.Store(true)
	if err := g.noteLate(ctx, at); err != nil {
		return err
	}
	f, err := s.startFeed(ctx, srv, at)
	if err != nil {
		return s.stopAt(s.classifyDump(err), at)
	}
	defer f.close()
	st := &stream{
		feed: f, out: resumedLog{w, s}, guide: g, remedy: s.resolveRemedy(), at: *at, sourceTime: &atomic.Int64{}, checksum: binlog.ChecksumDetect,
		relations: map[uint64]*relation{}, byName: map[tableName]*relation{}, undone: s.undone,
	}
	st.ticks.due(time.Now()) // the first tick is a second away: at its start the stream has told nothing new
	s.report(func(p *sources.Progress) { p.Phase = sources.PhaseStreaming })
	s.log.Info("streaming", "position", at.String())
	return s.stopAt(s.classifyDump(s.run(ctx, w, st, g.queue)), &st.at)
}

// run reads the stream, and beside it looks at the server's clock and copies tables, until one of them ends.
func (s *Source) run(ctx context.Context, w *sources.Writer, st *stream, q *copyQueue) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := st.run(ctx)
		if err == nil {
			err = errors.New("the stream ended without a reason")
		}
		return err
	})
	group.Go(func() error { return s.watchClock(ctx, st) })
	group.Go(func() error { return s.copyAll(ctx, w, q, s.copier(w, st)) })
	return group.Wait()
}

// copier copies tables beside the stream.
func (s *Source) copier(w *sources.Writer, st *stream) *sources.Copier {
	limit := rate.NewLimiter(rate.Inf, copyRows)
	if s.o.CopyRowsPerSecond > 0 {
		limit = rate.NewLimiter(rate.Limit(s.o.CopyRowsPerSecond), max(copyRows, s.o.CopyRowsPerSecond))
	}
	return &sources.Copier{
		Writer: w, Readers: s.o.CopyReaders, Rows: copyRows, Throttle: limit.WaitN,
		Open: func(ctx context.Context) (sources.ChunkReader, error) {
			reader, err := s.openReader(ctx, st.reached)
			if r, ok := reader.(*chunkReader); ok && err == nil {
				r.rested = st.hasRested
			}
			return reader, err
		},
		Appended: func(_ *schema.Table, rows int) {
			s.report(func(p *sources.Progress) {
				if p.Copy != nil {
					p.Copy.RowsDone += int64(rows)
				}
			})
		},
	}
}

// copyRows is about how many rows a range of a copy has, for which the server need not keep a view open for long.
const copyRows = 20_000

// watchClock tells the stream the server's own time.
func (s *Source) watchClock(ctx context.Context, st *stream) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	for {
		now, err := c.now()
		if err != nil {
			return err
		}
		st.sourceTime.Store(int64(now))
		s.report(func(p *sources.Progress) { p.SourceTime = now })
		if err := sources.Pause(ctx, heartbeatPeriod); err != nil {
			return err
		}
	}
}

// Current implements sources.Source.
func (s *Source) Current(ctx context.Context) (func(changelog.Position) bool, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	srv, err := c.server()
	if err != nil {
		return nil, err
	}
	end, err := s.current(c, srv)
	if err != nil {
		return nil, err
	}
	return func(p changelog.Position) bool {
		at, err := s.logged(p)
		return err == nil && !s.copying.Load() && !s.whole.Load() && !s.late.Load() && at.passed(end)
	}, nil
}

// logged reads a position of the log. It has no place when that may be another server's.
func (s *Source) logged(p changelog.Position) (*Position, error) {
	at, err := ParsePosition(p)
	if resumed := s.resumed.Load(); err == nil && resumed != nil && *resumed == p {
		at.forgetPlace()
	}
	return at, err
}

// resumedLog is where the stream of a source goes on writing.
type resumedLog struct {
	*sources.Writer
	s *Source
}

// Tick implements output. A tick at the position of the start tells that its place is one of the server that is read.
func (l resumedLog) Tick(ctx context.Context, p changelog.Position, t changelog.Micros) (changelog.Offset, error) {
	n, err := l.Writer.Tick(ctx, p, t)
	if resumed := l.s.resumed.Load(); err == nil && resumed != nil && *resumed == p {
		l.s.resumed.Store(nil)
	}
	return n, err
}

// stopAt gives a stop without a position that of the stream.
func (s *Source) stopAt(err error, at *Position) error {
	var stop *sources.Stop
	if errors.As(err, &stop) && stop.Position == "" {
		stop.Position = FormatPosition(at)
	}
	return err
}

// positions is how transactions of the server are named.
func (is *server) positions() Flavour {
	switch {
	case is.flavour == flavourMariaDB:
		return FlavourMariaDB
	case is.gtid:
		return FlavourMySQL
	}
	return FlavourFile
}
