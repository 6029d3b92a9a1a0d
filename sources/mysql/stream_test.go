package mysql

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
	"cdc/sources/mysql/value"
)

// recorded are the raw events of a recording of the package binlog.
func recorded(t testing.TB, name string) (events [][]byte) {
	t.Helper()
	b, err := os.ReadFile("binlog/testdata/" + name + ".events")
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		size := binary.LittleEndian.Uint32(b[9:])
		events, b = append(events, b[:size]), b[size:]
	}
	return events
}

// recording is events and an end.
type recording [][]byte

func (r *recording) next() ([]byte, error) {
	if len(*r) == 0 {
		return nil, io.EOF
	}
	e := (*r)[0]
	*r = (*r)[1:]
	return e, nil
}

// freeGuide takes every table as TABLE_MAP describes it.
type freeGuide struct {
	numbers    map[tableName]uint32
	statements []string
}

func (g *freeGuide) resolve(_ context.Context, d *described) (*relation, error) {
	columns, err := d.columns()
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(columns, func(c value.Column) bool { return c.Known&value.KnownName == 0 }) {
		return &relation{}, nil
	}
	name := tableName{d.schema, d.name}
	if g.numbers[name] == 0 {
		g.numbers[name] = uint32(len(g.numbers) + 1)
	}
	info := tableInfo{schema: d.schema, name: d.name, columns: columns}
	t, err := info.version("shop", g.numbers[name], nil, 0)
	if err != nil {
		return &relation{}, nil
	}
	t.ID, t.Version = schema.TableID(g.numbers[name]), schema.VersionID(g.numbers[name])
	r := &relation{table: t, width: len(columns)}
	for i := range columns {
		if columns[i].Type == value.TypeJSON {
			r.jsonColumns++
		}
	}
	r.decode, err = value.Compile(columns, t)
	return r, err
}

func (g *freeGuide) statement(_ context.Context, s *binlog.Statement, _ []byte) (bool, error) {
	g.statements = append(g.statements, s.Kind.String())
	return true, nil
}

func (g *freeGuide) rows(*binlog.Statement, []byte) error                       { return nil }
func (g *freeGuide) unread(string)                                              {}
func (g *freeGuide) idle(context.Context) error                                 { return nil }
func (g *freeGuide) withDefaults(_ *relation, _, packed []byte) ([]byte, error) { return packed, nil }

func (g *freeGuide) boundary(context.Context, *Position) (bool, error) { return false, nil }

// counter counts what a stream gives out.
type counter struct {
	changes map[string]int // by operation and table
	commits []sources.Commit
}

func (c *counter) Change(change *changelog.Change) error {
	name := ""
	if change.Table != nil {
		name = " " + change.Table.Name
	}
	c.changes[string(change.Op)+name]++
	return nil
}

func (c *counter) Commit(commit sources.Commit) error {
	c.commits = append(c.commits, commit)
	return nil
}

func newTestStream(feed events, f Flavour, out sources.TailOutput) *stream {
	at := &Position{Flavour: f, File: "binlog.000001", GTIDs: &binlog.GTIDSet{}, Maria: &binlog.MariaPos{}}
	return &stream{
		feed: feed, out: sources.NewTailWriter(out), guide: &freeGuide{numbers: map[tableName]uint32{}}, at: *at, sourceTime: &atomic.Int64{},
		checksum: binlog.ChecksumDetect, relations: map[uint64]*relation{}, byName: map[tableName]*relation{}, undone: map[groupName][]span{},
	}
}

var recordingsOf = map[string]Flavour{"mysql": FlavourMySQL, "mariadb": FlavourMariaDB}

// Every kind of event that servers write is read to its end, under each way of naming transactions, and the positions grow.
func TestRecordedStreams(t *testing.T) {
	for name, flavour := range recordingsOf {
		for _, f := range []Flavour{flavour, FlavourFile} {
			t.Run(name+" "+string('0'+rune(f)), func(t *testing.T) {
				feed := recording(recorded(t, name))
				out := &counter{changes: map[string]int{}}
				st := newTestStream(&feed, f, out)
				if err := st.run(t.Context()); !errors.Is(err, io.EOF) || len(feed) > 0 {
					t.Fatalf("the stream ended %d events before its end: %v", len(feed), err)
				}
				if st.group.open || len(st.prepared.all) > 0 || st.prepared.bytes != 0 {
					t.Errorf("left behind: %+v %+v", st.group, st.prepared)
				}
				for _, want := range []string{"c numbers", "u numbers", "d numbers", "c texts", "c times", "c minimal", "u minimal", "m"} {
					if out.changes[want] == 0 {
						t.Errorf("no %q among %v", want, slices.Sorted(maps.Keys(out.changes)))
					}
				}
				for i, c := range out.commits[1:] {
					if !Reached(out.commits[i].Position, c.Position) {
						t.Fatalf("commit %d is at %s, the one before at %s", i+1, PositionText(c.Position), PositionText(out.commits[i].Position))
					}
				}
			})
		}
	}
}

// From any transaction on, a stream brings what the whole stream brings behind it, and nothing twice when the server sends more.
func TestRecordedStreamsResume(t *testing.T) {
	for name, flavour := range recordingsOf {
		t.Run(name, func(t *testing.T) {
			events := recorded(t, name)
			feed := recording(events)
			whole := &counter{changes: map[string]int{}}
			if err := newTestStream(&feed, flavour, whole).run(t.Context()); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			for i := 0; i < len(whole.commits); i += 7 {
				at, err := ParsePosition(whole.commits[i].Position)
				if err != nil {
					t.Fatal(err)
				}
				feed = events
				out := &counter{changes: map[string]int{}}
				st := newTestStream(&feed, flavour, out)
				st.at = *at
				if err := st.run(t.Context()); !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				last, want := out.commits[len(out.commits)-1].Position, whole.commits[len(whole.commits)-1].Position
				if !Reached(last, want) || !Reached(want, last) {
					t.Fatalf("from %s the stream ends at %s, want %s", at, PositionText(last), PositionText(want))
				}
				rows := 0
				for what, n := range out.changes {
					if rows += n; n > whole.changes[what] {
						t.Errorf("from %s: %d times %q, in the whole %d", at, n, what, whole.changes[what])
					}
				}
			}
		})
	}
}

// The offset of an event has 32 bits in its header, and none at all in most of MariaDB's from 11.4 on; a file may be longer.
func TestPlacesPastFourGiB(t *testing.T) {
	st := &stream{}
	for i, step := range []struct {
		e    binlog.Header
		want uint64
	}{
		{binlog.Header{Type: binlog.TypeFormatDescription, Size: 252}, 0},
		{binlog.Header{Type: binlog.TypeQuery, NextPos: 1000, Size: 748}, 1000},
		{binlog.Header{Type: binlog.TypeQuery, Size: 500}, 1500},
		{binlog.Header{Type: binlog.TypeHeartbeat, NextPos: 7}, 1500},
		{binlog.Header{Type: binlog.TypeMariaGTIDList, NextPos: 9, Flags: binlog.FlagArtificial}, 1500},
		{binlog.Header{Type: binlog.TypeQuery, NextPos: 0xfffffff0}, 0xfffffff0},
		{binlog.Header{Type: binlog.TypeQuery, NextPos: 0x10}, 1<<32 + 0x10},
		{binlog.Header{Type: binlog.TypeXID, NextPos: 0x2f}, 1<<32 + 0x2f},
		{binlog.Header{Type: binlog.TypeQuery, NextPos: 0xffffff00}, 1<<32 + 0xffffff00},
		{binlog.Header{Type: binlog.TypeQuery, NextPos: 0x20}, 2<<32 + 0x20},
		{binlog.Header{Type: binlog.TypeQuery, Size: 0x100}, 2<<32 + 0x120},
		{binlog.Header{Type: binlog.TypeRotate, NextPos: 0x40}, 2<<32 + 0x120},
	} {
		st.move(&binlog.Event{Header: step.e})
		if st.at.Offset != step.want {
			t.Fatalf("step %d: offset %#x, want %#x", i, st.at.Offset, step.want)
		}
	}
	far := Position{Flavour: FlavourFile, File: "binlog.000009", Offset: 5 << 32}
	if got, err := ParsePosition(FormatPosition(&far)); err != nil || got.place() != far.place() {
		t.Errorf("%+v, %v", got, err)
	}
}

// tickOutput keeps the times of ticks.
type tickOutput struct {
	output
	ticks []changelog.Micros
}

func (o *tickOutput) Tick(_ context.Context, _ changelog.Position, t changelog.Micros) (changelog.Offset, error) {
	o.ticks = append(o.ticks, t)
	return 0, nil
}

// The clock is asked beside the stream: it may show a moment behind the commit of a transaction that is sent after the heartbeat.
func TestHeartbeatsTickWithTheTimeOfTheOneBefore(t *testing.T) {
	out := &tickOutput{output: sources.NewTailWriter(&counter{})}
	st := newTestStream(nil, FlavourMySQL, nil)
	st.out = out
	for i, now := range []int64{0, 100, 200, 300} {
		st.sourceTime.Store(now)
		st.ticks = ticker{}
		if err := st.heartbeat(t.Context(), binlog.Heartbeat{File: []byte("binlog.000001"), Position: uint64(4 + i)}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []changelog.Micros{100, 200}; !slices.Equal(out.ticks, want) {
		t.Errorf("ticks at %v, want %v", out.ticks, want)
	}
}

// What no server writes is a named stop, with the place in it.
func TestG2UnreadableEventsAreNamedStops(t *testing.T) {
	all := recorded(t, "mysql")
	kind := func(k binlog.Type) int {
		return slices.IndexFunc(all, func(e []byte) bool { return binlog.Type(e[4]) == k })
	}
	damaged := func(i, at int) recording {
		r := slices.Clone(all)
		r[i] = bytes.Clone(r[i])
		r[i][at] ^= 0x40
		return r
	}
	unknown := bytes.Clone(all[kind(binlog.TypeXID)])
	unknown[4] = 200
	for name, test := range map[string]struct {
		events recording
		text   string
	}{
		"a bit of a row":            {damaged(kind(binlog.TypeWriteRows), 30), "checksum"},
		"a commit by itself":        {append(slices.Clone(all[:kind(binlog.TypeGTID)]), all[kind(binlog.TypeXID)]), "outside a transaction"},
		"rows by themselves":        {append(slices.Clone(all[:kind(binlog.TypeGTID)]), all[kind(binlog.TypeWriteRows)]), "outside a transaction"},
		"a transaction in another":  {append(slices.Clone(all[:kind(binlog.TypeTableMap)]), all[kind(binlog.TypeGTID)]), "within another"},
		"an event of another build": {append(slices.Clone(all[:kind(binlog.TypeGTID)]), withChecksum(unknown)), "cannot read"},
	} {
		t.Run(name, func(t *testing.T) {
			st := newTestStream(&test.events, FlavourMySQL, &counter{changes: map[string]int{}})
			err := st.run(t.Context())
			var stop *sources.Stop
			if !errors.As(err, &stop) || stop.Kind != changelog.StopCorrupt || !strings.Contains(stop.Detail, test.text) || !strings.Contains(stop.Detail, st.at.place().String()) {
				t.Errorf("%v, want a stop with %q", err, test.text)
			}
		})
	}
}

// withChecksum makes the checksum of an event right.
func withChecksum(e []byte) []byte {
	body := e[:len(e)-4]
	return binary.LittleEndian.AppendUint32(body, crc32.ChecksumIEEE(body))
}

// FuzzStream takes the events of recordings in any order, some of them changed. A stream may refuse them, and must not panic, nor leave
// a position that cannot be read.
func FuzzStream(f *testing.F) {
	var all [][]byte
	for _, name := range slices.Sorted(maps.Keys(recordingsOf)) {
		all = append(all, recorded(f, name)...)
	}
	for from := 0; from < len(all); from += 50 {
		var script []byte
		for i := from; i < min(from+60, len(all)); i++ {
			script = binary.LittleEndian.AppendUint16(append(script, 0), uint16(i))
		}
		f.Add(byte(1+from/50%3), script)
	}
	f.Add(byte(3), []byte{1, 20, 0, 60, 9})
	f.Fuzz(func(t *testing.T, flavour byte, script []byte) {
		feed := recording{all[0]}
		if flavour%2 == 1 {
			feed[0] = all[len(all)-1]
		}
		for len(script) >= 3 {
			e := all[int(binary.LittleEndian.Uint16(script[1:]))%len(all)]
			change := script[0]
			script = script[3:]
			if change != 0 && len(script) >= 2 { // a byte of it is another one
				e = bytes.Clone(e)
				e[int(change)*len(e)/256] ^= script[0]
				e[(int(change)*7+int(script[1]))%len(e)] ^= script[1]
				script = script[2:]
			}
			feed = append(feed, withChecksum(bytes.Clone(e)))
		}
		st := newTestStream(&feed, Flavour(1+flavour%3), &counter{changes: map[string]int{}})
		st.inflater.BytesMax = 1 << 20
		err := st.run(t.Context())
		if err == nil {
			t.Fatal("a stream ended without a reason")
		}
		if at, err := ParsePosition(FormatPosition(&st.at)); err != nil || at.place() != st.at.place() {
			t.Fatalf("%+v: %v", st.at, err)
		}
	})
}
