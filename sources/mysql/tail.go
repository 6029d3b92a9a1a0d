package mysql

import (
	"context"
	"sync/atomic"

	"cdc/schema"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
	"cdc/sources/mysql/value"
)

// Tail implements sources.Database: it streams from the server's end on, without a log.
func (s *Source) Tail(ctx context.Context, out sources.TailOutput) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	srv, err := s.fitServer(c)
	if err != nil {
		return err
	}
	at, err := s.current(c, srv)
	if err != nil {
		return err
	}
	f, err := s.startFeed(ctx, srv, at)
	if err != nil {
		return s.classifyDump(err)
	}
	defer f.close()
	st := &stream{
		feed: f, out: sources.NewTailWriter(out), guide: &tailGuide{s: s, c: c, known: map[tableName]*schema.Table{}}, remedy: "report it", at: *at,
		sourceTime: &atomic.Int64{}, checksum: binlog.ChecksumDetect, relations: map[uint64]*relation{}, byName: map[tableName]*relation{},
	}
	return s.classifyDump(st.run(ctx))
}

// tailGuide describes tables as they come.
type tailGuide struct {
	s     *Source
	c     *session
	known map[tableName]*schema.Table
}

func (g *tailGuide) resolve(_ context.Context, d *described) (*relation, error) {
	name := tableName{d.schema, d.name}
	if !g.s.wants(name) {
		return &relation{}, nil
	}
	columns, err := d.columns()
	if err != nil {
		return nil, err
	}
	info := tableInfo{schema: d.schema, name: d.name, columns: columns}
	if found, ok, err := g.c.table(d.schema, d.name); err != nil {
		return nil, err
	} else if ok && sameWire(found.columns, columns) {
		info = found
	}
	t, err := info.version(g.s.o.Name, uint32(len(g.known)+1), nil, 0)
	if err != nil {
		return nil, err
	}
	t.Version = schema.VersionID(len(g.known) + 1)
	g.known[name] = t
	r := &relation{table: t, width: len(info.columns)}
	for i := range info.columns {
		if info.columns[i].Type == value.TypeJSON {
			r.jsonColumns++
		}
	}
	r.decode, err = value.Compile(info.columns, t)
	return r, err
}

func (g *tailGuide) statement(_ context.Context, s *binlog.Statement, _ []byte) (bool, error) {
	for i := range s.Tables {
		if g.s.wants(tableName{s.Tables[i].Table.Schema, s.Tables[i].Table.Name}) {
			return true, nil
		}
	}
	return false, nil
}

func (g *tailGuide) rows(*binlog.Statement, []byte) error { return nil }

func (g *tailGuide) unread(string) {}

func (g *tailGuide) boundary(context.Context, *Position) (bool, error) { return false, nil }

func (g *tailGuide) withDefaults(_ *relation, _, packed []byte) ([]byte, error) { return packed, nil }

func (g *tailGuide) idle(context.Context) error { return nil }
