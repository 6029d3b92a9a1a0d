package postgres

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/jackc/pglogrepl"

	"cdc/schema"
)

// samples are messages of every kind, as the server sends them.
func samples() [][]byte {
	tuple := func(columns ...string) []byte {
		b := binary.BigEndian.AppendUint16(nil, uint16(len(columns)))
		for _, c := range columns {
			b = append(b, c[0])
			if c[0] == columnText || c[0] == columnBinary {
				b = append(binary.BigEndian.AppendUint32(b, uint32(len(c)-1)), c[1:]...)
			}
		}
		return b
	}
	oid := []byte{0, 0, 0x40, 1}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	return [][]byte{
		join([]byte("B"), make([]byte, 7), []byte{9}, make([]byte, 7), []byte{8}, []byte{0, 0, 0, 7}),
		join([]byte("C"), make([]byte, 1+8+8+8)),
		join([]byte("R"), oid, []byte("public\x00t\x00d\x00\x02"), []byte("\x01id\x00\x00\x00\x00\x17\xff\xff\xff\xff"), []byte("\x00v\x00\x00\x00\x00\x19\xff\xff\xff\xff")),
		join([]byte("Y"), oid, []byte("public\x00mood\x00")),
		join([]byte("I"), oid, []byte("N"), tuple("t1", "n")),
		join([]byte("I"), oid, []byte("N"), tuple("b\x00\x00\x00\x01", "bx")),
		join([]byte("U"), oid, []byte("N"), tuple("t1", "u")),
		join([]byte("U"), oid, []byte("K"), tuple("t1", "n"), []byte("N"), tuple("t2", "u")),
		join([]byte("U"), oid, []byte("O"), tuple("t1", "tx"), []byte("N"), tuple("t2", "t")),
		join([]byte("D"), oid, []byte("K"), tuple("t1", "n")),
		join([]byte("D"), oid, []byte("O"), tuple("t1", "tx")),
		join([]byte("T"), []byte{0, 0, 0, 2, 3}, oid, []byte{0, 0, 0x40, 2}),
		join([]byte("M"), []byte{1}, make([]byte, 8), []byte("prefix\x00"), []byte{0, 0, 0, 2}, []byte("hi")),
		join([]byte("O"), make([]byte, 8), []byte("origin\x00")),
	}
}

// read reads a message as the stream does and says whether it is one.
func readMessage(b []byte) error {
	if len(b) == 0 {
		return errMessage
	}
	kind, body := b[0], b[1:]
	var err error
	switch kind {
	case messageBegin:
		_, err = parseBegin(body)
	case messageCommit:
		_, err = parseCommit(body)
	case messageRelation:
		_, err = parseRelation(body)
	case messageTruncate:
		_, err = parseTruncate(body)
	case messageLogical:
		_, err = parseLogical(body)
	case messageInsert, messageUpdate, messageDelete:
		_, err = readRows(kind, body)
	default:
		return errMessage
	}
	return err
}

// tupleColumn is a column of a tuple, for comparing.
type tupleColumn struct {
	kind byte
	data string
}

// readRows walks the tuples of a row message, in the order in which the stream reads them.
func readRows(kind byte, body []byte) (tuples [][]tupleColumn, err error) {
	m := reader{b: body}
	m.u32()
	first := m.u8()
	isOld := first == tupleOldKey || first == tupleOldFull
	if isOld && kind == messageInsert || !isOld && (first != tupleNew || kind == messageDelete) {
		return nil, errMessage
	}
	tuples = append(tuples, readTuple(&m))
	if isOld && kind == messageUpdate {
		if m.u8() != tupleNew {
			return nil, errMessage
		}
		tuples = append(tuples, readTuple(&m))
	}
	return tuples, m.end(kind)
}

func readTuple(m *reader) (columns []tupleColumn) {
	for n := int(m.u16()); n > 0 && !m.bad; n-- {
		k, data := m.column()
		columns = append(columns, tupleColumn{k, string(data)})
	}
	return columns
}

func TestSamplesAreReadToTheirEndAndNoFurther(t *testing.T) {
	for _, b := range samples() {
		if b[0] == messageType || b[0] == messageOrigin {
			continue
		}
		if err := readMessage(b); err != nil {
			t.Errorf("message %q: %v", b, err)
		}
		for n := range len(b) {
			if err := readMessage(b[:n]); err == nil {
				t.Errorf("message %q cut to %d bytes is accepted", b, n)
			}
		}
		if err := readMessage(append(b[:len(b):len(b)], 0)); err == nil {
			t.Errorf("message %q with a byte too many is accepted", b)
		}
	}
}

// What we accept, the client library reads the same way. (What we refuse may make it panic.)
func compareWithLibrary(t *testing.T, b []byte) {
	t.Helper()
	if readMessage(b) != nil {
		return
	}
	theirs, err := pglogrepl.Parse(b)
	if err != nil {
		return // it knows fewer kinds of columns and options
	}
	body := b[1:]
	switch m := theirs.(type) {
	case *pglogrepl.BeginMessage:
		if ours, _ := parseBegin(body); uint64(ours.commit) != uint64(m.FinalLSN) || ours.xid != m.Xid {
			t.Fatalf("begin %+v, library %+v", ours, m)
		}
	case *pglogrepl.CommitMessage:
		if ours, _ := parseCommit(body); uint64(ours.commit) != uint64(m.CommitLSN) || uint64(ours.end) != uint64(m.TransactionEndLSN) {
			t.Fatalf("commit %+v, library %+v", ours, m)
		}
	case *pglogrepl.RelationMessage:
		ours, _ := parseRelation(body)
		if ours.oid != m.RelationID || m.Namespace != "" && ours.schema != m.Namespace || ours.name != m.RelationName || ours.identity != m.ReplicaIdentity || len(ours.columns) != len(m.Columns) {
			t.Fatalf("relation %+v, library %+v", ours, m)
		}
		for i, c := range m.Columns {
			if o := ours.columns[i]; o.name != c.Name || o.typ != c.DataType || o.mod != c.TypeModifier || o.key != (c.Flags&1 != 0) {
				t.Fatalf("column %+v, library %+v", o, c)
			}
		}
	case *pglogrepl.InsertMessage:
		compareTuples(t, b, m.Tuple)
	case *pglogrepl.UpdateMessage:
		if m.OldTuple != nil {
			compareTuples(t, b, m.OldTuple, m.NewTuple)
		} else {
			compareTuples(t, b, m.NewTuple)
		}
	case *pglogrepl.DeleteMessage:
		compareTuples(t, b, m.OldTuple)
	case *pglogrepl.TruncateMessage:
		if ours, _ := parseTruncate(body); ours.options != m.Option || len(ours.oids) != len(m.RelationIDs) {
			t.Fatalf("truncate %+v, library %+v", ours, m)
		}
	}
}

func compareTuples(t *testing.T, b []byte, theirs ...*pglogrepl.TupleData) {
	t.Helper()
	ours, err := readRows(b[0], b[1:])
	if err != nil || len(ours) < len(theirs) {
		t.Fatalf("%d tuples (%v), library %d", len(ours), err, len(theirs))
	}
	for i, tuple := range theirs {
		if tuple == nil || len(ours[i]) != len(tuple.Columns) {
			t.Fatalf("tuple %d: %v, library %+v", i, ours[i], tuple)
		}
		for j, c := range tuple.Columns {
			if ours[i][j].kind != c.DataType || ours[i][j].data != string(c.Data) {
				t.Fatalf("column %d: %+v, library %+v", j, ours[i][j], c)
			}
		}
	}
}

func TestMessagesAreReadAsTheClientLibraryReadsThem(t *testing.T) {
	for _, b := range samples() {
		compareWithLibrary(t, b)
	}
}

func FuzzPgoutput(f *testing.F) {
	for _, b := range samples() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		compareWithLibrary(t, b)
		_, _ = parseEnvelope(b)
	})
}

// fuzzRelation is a table with a column of every type that has a binary decoder.
func fuzzRelation(t testing.TB) *relation {
	types := &typeCache{types: map[uint32]typeInfo{}, moneyDigits: 2}
	table := &schema.Table{Source: "s", Schema: "s", Name: "t"}
	r := &relation{table: table}
	for oid := range kindsOf {
		types.types[oid] = typeInfo{oid: oid, kind: 'b'}
		types.types[oid|1<<20] = typeInfo{oid: oid | 1<<20, kind: 'b', elem: oid, delim: ','}
		for _, typ := range []uint32{oid, oid | 1<<20} {
			column := schema.Column{ID: uint32(len(table.Columns) + 1), Name: "c"}
			types.describe(&column, typ, -1)
			table.Columns = append(table.Columns, column)
			r.message.columns = append(r.message.columns, relationColumn{key: true})
		}
	}
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	r.compile(types)
	return r
}

// No bytes may make a decoder panic, or pack a row that is none.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{"", "\x00", "\x00\x00\x00\x01", "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x17\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x04abcd", "\x02\x20\x00\x04abcd"} {
		f.Add([]byte(seed))
	}
	r := fuzzRelation(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var b schema.Builder
		for i := range r.columns {
			for _, decode := range []decoder{r.columns[i].binary, r.columns[i].text} {
				if decode == nil {
					continue
				}
				b.Reset(r.table.Layout(), nil)
				if decode(&b, i, data) != nil {
					continue
				}
				packed, err := b.Finish()
				if err != nil {
					t.Fatalf("column %s: %v", r.table.Columns[i].Kind, err)
				}
				if _, err := r.table.Layout().Row(packed); err != nil {
					t.Fatalf("column %s: %v", r.table.Columns[i].Kind, err)
				}
			}
		}
	})
}

func TestRowMessagesAreDecodedWithoutAllocating(t *testing.T) {
	types := &typeCache{types: map[uint32]typeInfo{}}
	table := &schema.Table{Source: "s", Schema: "s", Name: "t"}
	r := &relation{table: table}
	body := []byte{0, 6}
	for i, v := range []struct {
		oid  uint32
		data string
	}{
		{oidInt8, "\x00\x00\x00\x00\x00\x00\x00\x01"},
		{oidText, "hello"},
		{oidNumeric, "\x00\x01\x00\x00\x00\x00\x00\x02\x00\x07"},
		{oidTimestampTZ, "\x00\x00\x00\x00\x00\x00\x00\x01"},
		{oidJSONB, "\x01{}"},
		{oidInet, "\x02\x20\x00\x04\x01\x02\x03\x04"},
	} {
		types.types[v.oid] = typeInfo{oid: v.oid, kind: 'b'}
		column := schema.Column{ID: uint32(i + 1), Name: "c"}
		types.describe(&column, v.oid, -1)
		table.Columns = append(table.Columns, column)
		r.message.columns = append(r.message.columns, relationColumn{})
		body = append(binary.BigEndian.AppendUint32(append(body, columnBinary), uint32(len(v.data))), v.data...)
	}
	if err := table.Prepare(); err != nil {
		t.Fatal(err)
	}
	r.compile(types)
	var b schema.Builder
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		m := reader{b: body}
		if _, err := r.tuple(&m, &b, dst[:0], false); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations a row, want none", n)
	}
}
