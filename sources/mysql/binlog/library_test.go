package binlog

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"

	"cdc/sources/mysql/value"
)

// libraryReader reads events with go-mysql.
func libraryReader(name string) *replication.BinlogParser {
	p := replication.NewBinlogParser()
	p.SetVerifyChecksum(true)
	p.SetPayloadDecoderConcurrency(1)
	if strings.HasPrefix(name, "maria") {
		p.SetFlavor("mariadb")
	}
	return p
}

// What servers sent is read as the client library reads it, column by column and image by image.
func TestEventsAreReadAsTheClientLibraryReadsThem(t *testing.T) {
	for name, raws := range recordings(t) {
		t.Run(name, func(t *testing.T) { compareWithLibrary(t, name, raws) })
	}
}

func compareWithLibrary(t *testing.T, name string, raws [][]byte) {
	library := libraryReader(name)
	var inner []*replication.BinlogEvent
	c := comparison{TB: t, tables: map[uint64][]value.Column{}}
	s := &c.stream
	s.each = func(e Event, raw []byte) {
		theirs := &replication.BinlogEvent{}
		switch {
		case raw == nil:
			theirs, inner = inner[0], inner[1:]
		case e.Type == TypeRotate && s.format.Server == "":
			return // the library would have to be told whether there is a checksum
		default:
			var err error
			if theirs, err = library.Parse(raw); err != nil {
				if strings.Contains(err.Error(), "unsupport type 140") {
					c.ownRows(e)
					return
				}
				t.Fatalf("library: %s: %v", e.Type, err)
			}
		}
		if payload, is := theirs.Event.(*replication.TransactionPayloadEvent); is {
			inner = payload.Events
		}
		c.compare(e, theirs)
	}
	s.read(t, raws)
	if len(inner) > 0 {
		t.Errorf("the library has %d more events in a payload", len(inner))
	}
}

type comparison struct {
	testing.TB
	stream stream
	tables map[uint64][]value.Column
}

func (c *comparison) equal(what string, ours, theirs any) {
	c.Helper()
	if a, b := fmt.Sprint(ours), fmt.Sprint(theirs); a != b {
		c.Errorf("%s: %s, library %s", what, a, b)
	}
}

func (c *comparison) compare(e Event, theirs *replication.BinlogEvent) {
	h := theirs.Header
	c.equal("header", []any{e.Timestamp, byte(e.Type), e.ServerID, e.Size, uint16(e.Flags)}, []any{h.Timestamp, byte(h.EventType), h.ServerID, h.EventSize, h.Flags})
	ours, err := parse(e, &c.stream.format, &c.stream.z)
	if err != nil {
		c.Errorf("%s: %v", e.Type, err)
		return
	}
	switch m := theirs.Event.(type) {
	case *replication.FormatDescriptionEvent:
		o := ours.(Format)
		c.equal("format", []any{o.Server, byte(o.Checksum)}, []any{m.ServerVersion, byte(m.ChecksumAlgorithm)})
	case *replication.RotateEvent:
		o := ours.(Rotate)
		c.equal("rotate", []any{string(o.File), o.Position}, []any{string(m.NextLogName), m.Position})
	case *replication.QueryEvent:
		o := ours.(Query)
		c.equal("query", []any{o.Thread, o.Seconds, o.ErrorCode, string(o.Schema), string(o.Text)}, []any{m.SlaveProxyID, m.ExecutionTime, m.ErrorCode, string(m.Schema), string(m.Query)})
	case *replication.XIDEvent:
		c.equal("xid", ours, m.XID)
	case *replication.RowsQueryEvent:
		c.equal("rows query", ours, m.Query)
	case *replication.MariadbAnnotateRowsEvent:
		c.equal("annotation", ours, m.Query)
	case *replication.GTIDEvent:
		c.gtid(ours.(GTIDEvent), m)
	case *replication.GtidTaggedLogEvent:
		c.gtid(ours.(GTIDEvent), &m.GTIDEvent)
	case *replication.PreviousGTIDsEvent:
		theirs, err := ParseGTIDSet(m.GTIDSets)
		if err != nil {
			c.Fatal(err)
		}
		c.equal("previous", ours.(*GTIDSet), theirs)
	case *replication.MariadbGTIDEvent:
		o := ours.(MariaGTIDEvent)
		c.equal("gtid", []any{o.GTID.Domain, o.GTID.Seq, byte(o.Flags), o.CommitID}, []any{m.GTID.DomainID, m.GTID.SequenceNumber, m.Flags, m.CommitID})
	case *replication.MariadbGTIDListEvent:
		var list []string
		for _, g := range m.GTIDs {
			list = append(list, g.String())
		}
		c.equal("gtid list", ours.(MariaGTIDList).GTIDs, list)
	case *replication.HeartbeatEvent:
		o := ours.(Heartbeat)
		c.equal("heartbeat", string(o.File), m.Filename)
	case *replication.TableMapEvent:
		c.tableMap(ours.(TableMap), m)
	case *replication.RowsEvent:
		c.rows(ours.(Rows), m)
	}
}

func (c *comparison) gtid(o GTIDEvent, m *replication.GTIDEvent) {
	c.equal("gtid", []any{o.GTID.UUID[:], o.GTID.Tag, o.GTID.GNO, o.LastCommitted, o.Sequence, o.OriginalCommit, o.ImmediateCommit, o.Bytes, o.OriginalServer, o.ImmediateServer},
		[]any{m.SID, m.Tag, m.GNO, m.LastCommitted, m.SequenceNumber, m.OriginalCommitTimestamp, m.ImmediateCommitTimestamp, m.TransactionLength, m.OriginalServerVersion, m.ImmediateServerVersion})
}

func (c *comparison) tableMap(o TableMap, m *replication.TableMapEvent) {
	columns, extra, err := o.Columns(&c.stream.format)
	if err != nil {
		c.Fatal(err)
	}
	c.tables[o.Table] = columns
	if string(o.Name) == "zipped" {
		return // it does not know how to read what describes these columns either
	}
	c.equal("table", []any{o.Table, o.Flags, string(o.Schema), string(o.Name), len(columns)}, []any{m.TableID, m.Flags, string(m.Schema), string(m.Table), m.ColumnCount})
	// The library takes vectors for no text; the server does not. From the first one on its collations belong to other columns.
	vectors := slices.ContainsFunc(columns, func(c value.Column) bool { return c.Type == value.TypeVector })
	unsigned, collations, enumCollations := m.UnsignedMap(), m.CollationMap(), m.EnumSetCollationMap()
	enums, sets, shapes, visible := m.EnumStrValueMap(), m.SetStrValueMap(), m.GeometryTypeMap(), m.VisibilityMap()
	for i := range columns {
		column := &columns[i]
		what := fmt.Sprintf("%s.%s", o.Name, column.Name)
		_, nullable := m.Nullable(i)
		name := ""
		if m.ColumnName != nil {
			name = string(m.ColumnName[i])
		}
		c.equal(what, []any{column.Name, column.Nullable}, []any{name, nullable})
		c.equal(what+" type", []any{byte(column.Type), column.Meta}, libraryType(m.ColumnType[i], m.ColumnMeta[i]))
		if column.Type != value.TypeYear {
			c.equal(what+" sign", column.Unsigned, unsigned[i])
		}
		if column.Type != value.TypeGeometry && !vectors {
			c.equal(what+" collation", column.Collation, max(collations[i], enumCollations[i]))
		}
		c.equal(what+" labels", column.Labels, c.utf8(column.Collation, append(enums[i], sets[i]...)))
		class, _ := value.GeometryClass(uint64(shapes[i]))
		c.equal(what+" geometry", column.Class, class)
		c.equal(what+" invisible", extra[i].Invisible, visible != nil && !visible[i])
		place, prefix := 0, uint64(0)
		for j, k := range m.PrimaryKey {
			if int(k) == i {
				place, prefix = j+1, m.PrimaryKeyPrefix[j]
			}
		}
		c.equal(what+" key", []any{column.Key, extra[i].KeyPrefix}, []any{place, prefix})
	}
}

// utf8 turns labels into UTF-8: the library leaves them in their character set.
func (c *comparison) utf8(collation uint16, labels []string) (decoded []string) {
	for _, label := range labels {
		b, err := value.AppendUTF8(nil, collation, []byte(label))
		if err != nil {
			c.Fatal(err)
		}
		decoded = append(decoded, string(b))
	}
	return decoded
}

// libraryType brings the library's type and metadata into our form.
func libraryType(t byte, meta uint16) []any {
	switch value.Type(t) {
	case value.TypeString:
		real, size := byte(meta>>8), meta&0xff
		if real != 247 && real != 248 {
			size |= uint16(real&0x30^0x30) << 4
			real = t
		}
		return []any{real, size}
	case value.TypeBit:
		return []any{t, meta>>8*8 + meta&0xff}
	}
	return []any{t, meta}
}

func (c *comparison) rows(o Rows, m *replication.RowsEvent) {
	c.equal("rows", []any{o.Table, uint16(o.Flags), o.Width}, []any{m.TableID, m.Flags, m.ColumnCount})
	first, second := o.Before, o.After
	if first == nil {
		first, second = second, nil
	}
	if !bytes.Equal(first, m.ColumnBitmap1) || !bytes.Equal(second, m.ColumnBitmap2) {
		c.Errorf("present: %x %x, library %x %x", first, second, m.ColumnBitmap1, m.ColumnBitmap2)
	}
	n, err := countImages(&o, c.tables[o.Table])
	if err != nil {
		c.Errorf("table %d: %v", o.Table, err)
	}
	if n == 1 && len(o.Data) == 0 {
		n = 0 // the library does not see a row that takes no bytes
	}
	c.equal("images", n, len(m.Rows))
}

// ownRows reads a row event that the library cannot read: it has no compressed columns.
func (c *comparison) ownRows(e Event) {
	rows, err := ParseRows(e, &c.stream.z)
	if err != nil {
		c.Fatal(err)
	}
	if n, err := countImages(&rows, c.tables[rows.Table]); n != 2 || err != nil {
		c.Errorf("%d images, %v", n, err)
	}
}
