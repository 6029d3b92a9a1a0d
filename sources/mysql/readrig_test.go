package mysql

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/rowstate"
	"cdc/e2e/testservers"
	"cdc/schema"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
	"cdc/sources/mysql/value"
)

// readRig reads a database of its own through an account that may do no more than capture needs.
type readRig struct {
	testing.TB
	m  *testservers.MySQL
	db string
	s  *Source
}

// eachReadRig runs a test on both servers, against a database in which the statements have been run.
func eachReadRig(t *testing.T, test func(t *testing.T, r *readRig)) {
	bothFlavours(t, func(t *testing.T, m *testservers.MySQL) { test(t, newReadRig(t, m)) })
}

func newReadRig(t testing.TB, m *testservers.MySQL) *readRig {
	t.Helper()
	r := &readRig{TB: t, m: m, db: m.Database(t)}
	user := m.Role(t, testservers.MySQLCaptureRole{Databases: []string{r.db}})
	s, err := New(Options{DSN: m.DSN(user, r.db), Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	r.s = s
	return r
}

func (r *readRig) maria() bool { return r.m.Flavour() == testservers.FlavourMariaDB }

// sql runs statements as the superuser.
func (r *readRig) sql(statements ...string) string {
	r.Helper()
	out, err := r.m.SQL(context.Background(), r.db, strings.Join(statements, ";\n"))
	if err != nil {
		r.Fatalf("%v", err)
	}
	return out
}

func (r *readRig) session() *session {
	r.Helper()
	c, err := r.s.connect(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(c.close)
	return c
}

// info is a table as the catalogue has it.
func (r *readRig) info(name string) tableInfo {
	r.Helper()
	info, ok, err := r.session().table(r.db, name)
	if err != nil || !ok {
		r.Fatalf("table %s: %v, %v", name, ok, err)
	}
	return info
}

// version is a table's version as the catalogue describes it.
func (r *readRig) version(name string) *schema.Table {
	r.Helper()
	info := r.info(name)
	v, err := info.version("shop", 1, nil, 0)
	if err != nil {
		r.Fatal(err)
	}
	return v
}

// end is the end of the binlog.
func (r *readRig) end() *Position {
	r.Helper()
	c := r.session()
	is, err := c.server()
	if err != nil {
		r.Fatal(err)
	}
	p, err := r.s.current(c, is)
	if err != nil {
		r.Fatal(err)
	}
	return p
}

// tableMaps are the columns of the database's tables as the binlog describes them from a position to its end, the last of each.
func (r *readRig) tableMaps(from *Position) map[string][]value.Column {
	r.Helper()
	is, err := r.session().server()
	if err != nil {
		r.Fatal(err)
	}
	end := r.end().place()
	f, err := r.s.startFeed(r.Context(), is, from)
	if err != nil {
		r.Fatal(err)
	}
	defer f.close()
	maps := map[string][]value.Column{}
	var format binlog.Format
	sum := binlog.ChecksumDetect
	for at := from.place(); end.after(at); {
		raw, err := f.next()
		if err != nil {
			r.Fatal(err)
		}
		e, err := binlog.Split(raw, sum)
		if err != nil {
			r.Fatal(err)
		}
		switch e.Type {
		case binlog.TypeFormatDescription:
			if format, err = binlog.ParseFormat(e); err != nil {
				r.Fatal(err)
			}
			sum = format.Checksum
			continue
		case binlog.TypeTableMap:
			m, err := binlog.ParseTableMap(e)
			if err != nil {
				r.Fatal(err)
			}
			if string(m.Schema) == r.db {
				if maps[string(m.Name)], _, err = m.Columns(&format); err != nil {
					r.Fatal(err)
				}
			}
		}
		if e.NextPos != 0 && e.Flags&binlog.FlagArtificial == 0 && e.Type != binlog.TypeHeartbeat && e.Type != binlog.TypeHeartbeatV2 {
			at.offset = uint64(e.NextPos)
		}
	}
	return maps
}

// logged is a log with the source's tables in it.
type logged struct {
	*readRig
	log   *disklog.Log
	state *rowstate.Store
	// live says that rows may be there before they are copied.
	live bool
}

func (r *readRig) openLog() *logged {
	r.Helper()
	dir := r.TempDir()
	log, err := disklog.Open(dir+"/log", disklog.Options{})
	if err != nil {
		r.Fatal(err)
	}
	state, err := rowstate.Open(context.Background(), rowstate.Options{Dir: dir + "/state", Log: log, Source: log.Catalog().NextSource("shop")})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		if err := errors.Join(state.Close(), log.Close()); err != nil {
			r.Errorf("close log: %v", err)
		}
	})
	return &logged{readRig: r, log: log, state: state}
}

// standing is a writer of a log whose stream stands at the server's end.
func (l *logged) standing() *sources.Writer {
	l.Helper()
	w := sources.NewWriter(sources.WriterOptions{Log: l.log, State: l.state, Source: changelog.SourceInfo{Name: "shop"}})
	if err := w.Introduce(l.Context(), Kind, nil); err != nil {
		l.Fatal(err)
	}
	if _, err := w.Tick(l.Context(), FormatPosition(l.end()), 1); err != nil {
		l.Fatal(err)
	}
	return w
}

// copier copies in ranges of so many rows; the stream has always come far enough.
func (l *logged) copier(w *sources.Writer, readers, rows int) *sources.Copier {
	return &sources.Copier{
		Writer: w, Readers: readers, Rows: rows, Throttle: func(context.Context, int) error { return nil },
		Open: func(ctx context.Context) (sources.ChunkReader, error) {
			return l.s.openReader(ctx, func(string, uint64) bool { return true })
		},
	}
}

// rows replays the log and gives the table's rows as text, sorted, and in how many units copied rows came.
func (l *logged) rows(name string) (rows []string, chunks int) {
	l.Helper()
	if err := l.log.WaitDurable(context.Background(), l.log.Catalog().Progress(l.log.Catalog().NextSource("shop")).Commit); err != nil {
		l.Fatal(err)
	}
	cursor, err := l.log.Cursor(changelog.CursorOptions{})
	if err != nil {
		l.Fatal(err)
	}
	defer cursor.Close()
	return l.replay(name, cursor)
}

// rowsWhole is rows, for a table whose copy meets changes of its rows.
func (l *logged) rowsWhole(name string) (rows []string, chunks int) {
	l.Helper()
	l.live = true
	return l.rows(name)
}

func (l *logged) replay(name string, cursor changelog.Cursor) (rows []string, chunks int) {
	l.Helper()
	now := map[string]string{}
	for {
		u, err := cursor.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			l.Fatal(err)
		}
		if l.apply(u, name, now) {
			chunks++
		}
	}
	rows = make([]string, 0, len(now))
	for _, row := range now {
		rows = append(rows, row)
	}
	slices.Sort(rows)
	return rows, chunks
}

// apply does to the rows what the unit does, and reports whether it has copied some.
func (l *logged) apply(u *changelog.Unit, name string, now map[string]string) (copied bool) {
	var c changelog.Change
	for {
		ok, err := u.Next(&c)
		if err != nil {
			l.Fatal(err)
		}
		if !ok {
			return copied
		}
		if c.Table == nil || c.Table.Name != name {
			continue
		}
		if !c.Before.IsZero() {
			delete(now, l.key(c.Table, c.Before))
		}
		if !c.After.IsZero() {
			if _, twice := now[l.key(c.Table, c.After)]; twice && c.Op == changelog.OpRead && !l.live {
				l.Errorf("table %s: row copied twice: %s", name, rowText(c.Table, c.After))
			}
			now[l.key(c.Table, c.After)] = rowText(c.Table, c.After)
		}
		copied = copied || c.Op == changelog.OpRead
	}
}

func (l *logged) key(t *schema.Table, row schema.Row) string {
	k, err := schema.AppendKey(nil, t, row)
	if err != nil {
		l.Fatal(err)
	}
	return string(k)
}

func rowText(t *schema.Table, row schema.Row) string {
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

// verified are the table's rows in a snapshot, as text, sorted.
func (r *readRig) verified(ver sources.Verification, t *schema.Table) []string {
	r.Helper()
	rows := []string{}
	err := ver.Read(r.Context(), t, func(packed []byte) error {
		row, err := t.Layout().Row(packed)
		rows = append(rows, rowText(t, row))
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	slices.Sort(rows)
	return rows
}

func (r *readRig) verification() sources.Verification {
	r.Helper()
	ver, err := r.s.Verification(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(ver.Close)
	return ver
}

// wantRows compares sorted rows.
func (r *readRig) wantRows(what string, got, want []string) {
	r.Helper()
	if slices.Equal(got, want) {
		return
	}
	r.Errorf("%s: %d rows, want %d\nsurplus %q\nmissing %q", what, len(got), len(want), except(got, want), except(want, got))
}

// except is up to ten lines of a that b lacks, as multisets.
func except(a, b []string) (only []string) {
	count := map[string]int{}
	for _, line := range b {
		count[line]++
	}
	for _, line := range a {
		if count[line]--; count[line] < 0 && len(only) < 10 {
			only = append(only, line)
		}
	}
	return only
}
