package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/rowstate"
	"cdc/e2e/testservers"
	"cdc/schema"
	"cdc/sources"
	"cdc/sources/sourcetest"
)

// rig captures a database of its own into a log of its own.
type rig struct {
	testing.TB
	pg      *testservers.Postgres
	db, dsn string
	dir     string
	o       Options
	// tune, when set, is called with every source that is made.
	tune func(*Source)

	log   *disklog.Log
	state *rowstate.Store
	src   *Source
	stop  context.CancelFunc
	ended chan error
	err   error
}

// patience bounds every wait for a condition.
const patience = sourcetest.Patience

// newRig makes a database with the statements run in it, and a capture role that may read it. Nothing is captured yet.
func newRig(t testing.TB, statements ...string) *rig {
	t.Helper()
	pg := testservers.Shared(t)
	return newRigOn(t, pg, statements...)
}

func newRigOn(t testing.TB, pg *testservers.Postgres, statements ...string) *rig {
	t.Helper()
	r := &rig{TB: t, pg: pg, db: pg.Database(t), dir: t.TempDir()}
	r.sql(statements...)
	r.dsn = pg.SuperuserDSN(r.db)
	r.o = Options{DSN: r.dsn, Name: "shop", WatchEvery: 100 * time.Millisecond}
	t.Cleanup(r.halt)
	return r
}

func (r *rig) sql(statements ...string) string {
	r.Helper()
	out, err := r.pg.SQL(context.Background(), r.db, strings.Join(statements, ";\n"))
	if err != nil {
		r.Fatalf("%v", err)
	}
	return out
}

// open opens the log and makes the source.
func (r *rig) open() {
	r.Helper()
	var err error
	if r.log, err = disklog.Open(r.dir+"/log", disklog.Options{}); err != nil {
		r.Fatal(err)
	}
	r.state, err = rowstate.Open(context.Background(), rowstate.Options{Dir: r.dir + "/state", Log: r.log, Source: r.log.Catalog().NextSource("shop")})
	if err != nil {
		r.Fatal(err)
	}
	r.o.LogID = r.log.ID()
	var out io.Writer = io.Discard
	if testing.Verbose() {
		out = testWriter{r}
	}
	r.o.Logger = slog.New(slog.NewTextHandler(out, nil))
	if r.src, err = New(r.o); err != nil {
		r.Fatal(err)
	}
	if r.tune != nil {
		r.tune(r.src)
	}
}

type testWriter struct{ testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

// start captures until halt.
func (r *rig) start() {
	r.Helper()
	r.open()
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.ended = cancel, make(chan error, 1)
	go func() {
		r.ended <- sources.Ingest(ctx, sources.IngestOptions{
			Log: r.log, State: r.state, Source: r.src, Name: "shop", Logger: r.o.Logger,
			Unlogged: func(*sources.Stop) error { return nil },
		})
	}()
}

// halt stops capturing and closes the log.
func (r *rig) halt() {
	if r.stop != nil {
		r.stop()
		if r.err == nil {
			r.err = <-r.ended
		}
		r.stop = nil
	}
	if r.state != nil {
		if err := errors.Join(r.state.Close(), r.log.Close()); err != nil {
			r.Errorf("close log: %v", err)
		}
		r.state = nil
	}
}

// restart stops and starts again, as after a clean end.
func (r *rig) restart() {
	r.Helper()
	r.halt()
	r.err = nil
	r.start()
}

// run captures what is there and waits until the log has it.
func (r *rig) run() {
	r.Helper()
	r.start()
	r.sync()
}

// eventually waits for a condition.
func (r *rig) eventually(what string, ok func() bool) {
	r.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-poll.C:
		case err := <-r.ended:
			r.err = err
			r.ended <- err
			r.Fatalf("capture ended while waiting for %s: %v", what, err)
		case <-deadline.C:
			progress := sources.Progress{}
			if r.src != nil {
				progress = r.src.Progress()
			}
			r.Fatalf("timed out waiting for %s; progress %+v", what, progress)
		}
	}
}

// sync waits until everything committed so far is durable here.
func (r *rig) sync() {
	r.Helper()
	reached, err := r.src.Current(context.Background())
	if err != nil {
		r.Fatal(err)
	}
	r.eventually("the log to come to the source's end", func() bool {
		id := r.log.Catalog().NextSource("shop")
		p := r.log.Catalog().Progress(id)
		return p.Position != "" && reached(p.Position) && r.log.Bounds().Next > p.Commit
	})
}

// dropSlot drops a slot once nobody reads it: the server notices that a reader is gone some time afterwards.
func (r *rig) dropSlot(slot string) {
	r.Helper()
	r.unread(slot)
	r.sql(`SELECT pg_drop_replication_slot('` + slot + `')`)
}

// unread waits until nobody reads a slot.
func (r *rig) unread(slot string) {
	r.Helper()
	r.eventually("the server to notice that nobody reads slot "+slot, func() bool {
		return r.sql(`SELECT count(*) FROM pg_replication_slots WHERE slot_name = '`+slot+`' AND active`) == "0"
	})
}

// stopError waits for the capture to end and returns its error.
func (r *rig) stopError() error {
	r.Helper()
	select {
	case r.err = <-r.ended:
		r.ended <- r.err
		return r.err
	case <-time.After(patience):
		r.Fatal("capture goes on")
		return nil
	}
}

// wantStop waits for a named stop.
func (r *rig) wantStop(kind changelog.StopKind, text string) {
	r.Helper()
	err := r.stopError()
	var stop *sources.Stop
	if !errors.As(err, &stop) || stop.Kind != kind || !strings.Contains(stop.Detail, text) {
		r.Fatalf("ended with %v, want %s with %q", err, kind, text)
	}
}

// change is one change of the log as text.
type change struct {
	unit   int
	meta   changelog.UnitMeta
	op     changelog.Op
	table  string
	image  changelog.Image
	before string
	after  string
	prefix string
}

func (c change) String() string {
	return strings.TrimSpace(fmt.Sprintf("%c %s %s %s%s", c.op, c.table, c.before, c.after, c.prefix))
}

// units calls f with each unit of the log.
func (r *rig) units(f func(u *changelog.Unit)) {
	r.Helper()
	cursor, err := r.log.Cursor(changelog.CursorOptions{})
	if err != nil {
		r.Fatal(err)
	}
	defer cursor.Close()
	for {
		u, err := cursor.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.Fatal(err)
		}
		u.LoadPosition()
		f(u)
	}
}

func (r *rig) changes() []change {
	r.Helper()
	var all []change
	number := 0
	r.units(func(u *changelog.Unit) {
		number++
		var c changelog.Change
		for {
			ok, err := u.Next(&c)
			if err != nil {
				r.Fatal(err)
			}
			if !ok {
				return
			}
			got := change{unit: number, meta: u.Meta, op: c.Op, image: c.Image, prefix: string(c.Prefix) + string(c.Content)}
			if c.Table != nil {
				got.table = c.Table.Name
				got.before, got.after = rowText(c.Table, c.Before), rowText(c.Table, c.After)
			}
			all = append(all, got)
		}
	})
	return all
}

// rowText is a row in the form of COPY, unescaped; absent columns are shown as ~.
func rowText(t *schema.Table, row schema.Row) string {
	if row.IsZero() {
		return ""
	}
	parts := make([]string, len(t.Columns))
	for i := range t.Columns {
		switch row.State(i) {
		case schema.Absent:
			parts[i] = "~"
		case schema.Null:
			parts[i] = `\N`
		case schema.Present:
			parts[i] = string(schema.AppendText(nil, &t.Columns[i], row, i))
		}
	}
	return strings.Join(parts, "|")
}

// table replays the log up to its end and returns the table's rows in the newest version, sorted.
func (r *rig) table(name string) []string {
	r.Helper()
	return r.tableAt(name, 1<<64-1)
}

// tableAt replays the log up to the last unit whose position ends at or before the LSN.
func (r *rig) tableAt(name string, until LSN) []string {
	r.Helper()
	rows := map[string][]byte{}
	var version *schema.Table
	var key []byte
	convert := func(next *schema.Table) {
		if version == next {
			return
		}
		if version != nil && len(rows) > 0 {
			converter, err := schema.NewConverter(version, next)
			if err != nil {
				r.Fatal(err)
			}
			for k, packed := range rows {
				row, err := version.Layout().Row(packed)
				if err != nil {
					r.Fatal(err)
				}
				if rows[k], err = converter.Convert(nil, row); err != nil {
					r.Fatal(err)
				}
			}
		}
		version = next
	}
	keyOf := func(row schema.Row) string {
		var err error
		if key, err = schema.AppendKey(key[:0], version, row); err != nil {
			r.Fatal(err)
		}
		return string(key)
	}
	r.units(func(u *changelog.Unit) {
		if at, err := ParsePosition(u.Meta.Position); err == nil && at.End > until {
			return
		}
		for _, t := range r.log.Catalog().TablesAt(u.Meta.Commit()) {
			if t.Table.Name == name && t.StateSince == u.Meta.Commit() && t.State.Replaces() {
				clear(rows)
				version = nil
			}
		}
		var c changelog.Change
		for {
			ok, err := u.Next(&c)
			if err != nil {
				r.Fatal(err)
			}
			if !ok {
				return
			}
			if c.Table == nil || c.Table.Name != name {
				continue
			}
			convert(c.Table)
			switch c.Op {
			case changelog.OpTruncate:
				clear(rows)
			case changelog.OpDelete:
				delete(rows, keyOf(c.Before))
			default:
				if c.Op == changelog.OpUpdate && !c.Before.IsZero() {
					delete(rows, keyOf(c.Before))
				}
				rows[keyOf(c.After)] = append([]byte(nil), c.After.Raw()...)
			}
		}
	})
	all := []string{}
	for _, packed := range rows {
		row, err := version.Layout().Row(packed)
		if err != nil {
			r.Fatal(err)
		}
		all = append(all, rowText(version, row))
	}
	slices.Sort(all)
	return all
}

var money = regexp.MustCompile(`^-?\$[0-9,]+\.[0-9][0-9]$`)

// sourceTable is the table as the server has it, through a session and a reader of its own.
func (r *rig) sourceTable(name string) []string {
	r.Helper()
	ctx := context.Background()
	conn, err := pgconn.Connect(ctx, r.dsn)
	if err != nil {
		r.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, set := range []string{"datestyle=ISO", "intervalstyle=postgres", "extra_float_digits=3", "timezone=UTC", "bytea_output=hex", "client_encoding=UTF8", `lc_monetary="C"`} {
		if _, err := conn.Exec(ctx, "SET "+set).ReadAll(); err != nil {
			r.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := conn.CopyTo(ctx, &out, "COPY (SELECT * FROM "+name+") TO STDOUT"); err != nil {
		r.Fatal(err)
	}
	all := []string{}
	unescape := strings.NewReplacer(`\\`, `\`, `\b`, "\b", `\f`, "\f", `\n`, "\n", `\r`, "\r", `\t`, "\t", `\v`, "\v")
	for line := range strings.Lines(out.String()) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for i, f := range fields {
			if money.MatchString(f) { // kept as a number
				f = strings.NewReplacer("$", "", ",", "").Replace(f)
			}
			if f != `\N` {
				fields[i] = unescape.Replace(f)
			}
		}
		all = append(all, strings.Join(fields, "|"))
	}
	slices.Sort(all)
	return all
}

// same compares tables of the log with those of the server.
func (r *rig) same(names ...string) {
	r.Helper()
	for _, name := range names {
		got, want := r.table(strings.TrimPrefix(name, "public.")), r.sourceTable(name)
		surplus, missing := except(got, want), except(want, got)
		if len(surplus)+len(missing) > 0 {
			r.Fatalf("table %s: %d rows in the log, %d at the source\nonly in the log:\n%s\nonly at the source:\n%s", name, len(got), len(want),
				strings.Join(surplus, "\n"), strings.Join(missing, "\n"))
		}
	}
}

// except is the lines of a that b lacks, as multisets; both are sorted.
func except(a, b []string) []string {
	count := map[string]int{}
	for _, line := range b {
		count[line]++
	}
	var only []string
	for _, line := range a {
		if count[line]--; count[line] < 0 && len(only) < 10 {
			only = append(only, line)
		}
	}
	return only
}

// testSession is a session that stays open.
type testSession struct {
	*rig
	conn *pgconn.PgConn
}

func (r *rig) session() *testSession {
	r.Helper()
	conn, err := pgconn.Connect(context.Background(), r.dsn)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &testSession{rig: r, conn: conn}
}

func (s *testSession) do(statements ...string) {
	s.Helper()
	for _, sql := range statements {
		if _, err := s.conn.Exec(context.Background(), sql).ReadAll(); err != nil {
			s.Fatalf("%s: %v", sql, err)
		}
	}
}
