package value

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"cdc/e2e/testservers"
	"cdc/schema"
)

// server is a real server with binlog_row_metadata=FULL and a user that may do everything.
type server struct {
	*testservers.MySQL

	flavor   string // mysql or mariadb, as go-mysql calls them
	user     string
	password string
}

func (s *server) mariadb() bool { return s.flavor == "mariadb" }

// eachServer runs a test on both servers.
func eachServer(t *testing.T, f func(t *testing.T, s *server)) {
	for _, flavor := range []testservers.Flavour{testservers.FlavourMariaDB, testservers.FlavourMySQL} {
		t.Run(string(flavor), func(t *testing.T) { f(t, startServer(t, flavor)) })
	}
}

// conn is a connection of a test, which fails with it.
type conn struct {
	t *testing.T
	c *client.Conn
}

func (s *server) connect(t *testing.T, database string) *conn {
	t.Helper()
	c, err := client.Connect(s.Addr(), s.user, s.password, database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &conn{t: t, c: c}
}

// database makes an empty database of the test and connects to it, in UTF-8 and UTC, and so that any value is taken.
func (s *server) database(t *testing.T) (*conn, string) {
	t.Helper()
	name := s.Database(t)
	c := s.connect(t, name)
	c.exec("ALTER DATABASE " + name + " CHARACTER SET utf8mb4")
	c.exec("SET NAMES utf8mb4")
	c.exec("SET time_zone = '+00:00', sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
	return c, name
}

func (c *conn) exec(query string) {
	c.t.Helper()
	if _, err := c.c.Execute(query); err != nil {
		c.t.Fatalf("%s: %v", query, err)
	}
}

// rows returns the raw fields of a query's text rows, nil for null.
func (c *conn) rows(query string) [][][]byte {
	c.t.Helper()
	r, err := c.c.Execute(query)
	if err != nil {
		c.t.Fatalf("%s: %v", query, err)
	}
	defer r.Close()
	rows := make([][][]byte, len(r.RowDatas))
	for i, data := range r.RowDatas {
		data = append([]byte(nil), data...)
		for len(data) > 0 {
			if data[0] == 0xfb { // null
				rows[i], data = append(rows[i], nil), data[1:]
				continue
			}
			w := wire{data}
			rows[i] = append(rows[i], w.take(int(w.lenenc())))
			data = w.b
		}
	}
	return rows
}

func (c *conn) text(query string) string { return string(c.rows(query)[0][0]) }

// position is the end of the binlog.
func (s *server) position(c *conn) mysql.Position {
	query := "SHOW BINARY LOG STATUS"
	if s.mariadb() {
		query = "SHOW MASTER STATUS"
	}
	row := c.rows(query)[0]
	at, err := strconv.ParseUint(string(row[1]), 10, 32)
	if err != nil {
		c.t.Fatal(err)
	}
	return mysql.Position{Name: string(row[0]), Pos: uint32(at)}
}

// rowsEvent is an event of row images, with the table that the last TABLE_MAP describes.
type rowsEvent struct {
	table   string
	columns []Column
	partial bool
	update  bool
	before  []byte // columns present
	after   []byte
	images  []byte
}

// binlog hands the events of a database's tables, from the position to the current end of the binlog, to f.
func (s *server) binlog(t *testing.T, from mysql.Position, database string, f func(rowsEvent)) {
	t.Helper()
	c := s.connect(t, "")
	end := s.position(c)
	host, port, _ := net.SplitHostPort(s.Addr())
	number, _ := strconv.ParseUint(port, 10, 16)
	syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{
		ServerID: uint32(900000 + time.Now().UnixNano()%90000), Flavor: s.flavor, Host: host, Port: uint16(number), User: s.user,
		Password: s.password, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), RawModeEnabled: true,
	})
	defer syncer.Close()
	stream, err := syncer.StartSync(from)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tables := map[uint64]rowsEvent{}
	for {
		e, err := stream.GetEvent(ctx)
		if err != nil {
			t.Fatal(err)
		}
		const header, checksum = 19, 4
		body := e.RawData[header : len(e.RawData)-checksum]
		switch e.Header.EventType {
		case replication.TABLE_MAP_EVENT:
			id, table, db := parseTableMap(t, body, s.mariadb())
			if db == database {
				tables[id] = table
			}
		case replication.WRITE_ROWS_EVENTv1, replication.WRITE_ROWS_EVENTv2, replication.UPDATE_ROWS_EVENTv1,
			replication.UPDATE_ROWS_EVENTv2, replication.PARTIAL_UPDATE_ROWS_EVENT:
			if event, ok := parseRows(t, e.Header.EventType, body, tables); ok {
				f(event)
			}
		}
		if e.Header.LogPos >= end.Pos && e.Header.EventType != replication.FORMAT_DESCRIPTION_EVENT &&
			e.Header.EventType != replication.ROTATE_EVENT {
			return
		}
	}
}

// wire reads an event; a test that reads too far panics, and fails so.
type wire struct{ b []byte }

func (w *wire) take(n int) []byte {
	v := w.b[:n]
	w.b = w.b[n:]
	return v
}
func (w *wire) uint(n int) uint64 { return littleUint(w.take(n)) }
func (w *wire) lenenc() uint64 {
	v, _, n := mysql.LengthEncodedInt(w.b)
	w.b = w.b[n:]
	return v
}

func parseRows(t *testing.T, typ replication.EventType, body []byte, tables map[uint64]rowsEvent) (rowsEvent, bool) {
	w := wire{body}
	e, ok := tables[w.uint(6)]
	if !ok {
		return e, false
	}
	w.take(2)
	if typ >= replication.WRITE_ROWS_EVENTv2 && typ <= replication.DELETE_ROWS_EVENTv2 || typ == replication.PARTIAL_UPDATE_ROWS_EVENT {
		w.take(int(w.uint(2)) - 2)
	}
	n := int(w.lenenc())
	if n != len(e.columns) {
		t.Fatalf("%d columns in the rows of %s, %d in its map", n, e.table, len(e.columns))
	}
	e.before = w.take((n + 7) / 8)
	e.update = typ == replication.UPDATE_ROWS_EVENTv1 || typ == replication.UPDATE_ROWS_EVENTv2
	if e.partial = typ == replication.PARTIAL_UPDATE_ROWS_EVENT; e.update || e.partial {
		e.after = w.take((n + 7) / 8)
	}
	e.images = w.b
	return e, true
}

// Kinds of optional metadata (MySQL, libs/mysql/binlog/event/rows_event.h).
const (
	metaSign = 1 + iota
	metaDefaultCharset
	metaColumnCharset
	metaName
	metaSetLabels
	metaEnumLabels
	metaGeometry
	metaKey
	metaKeyPrefix
	metaLabelDefaultCharset
	metaLabelColumnCharset
)

// parseTableMap is written from the format's description, so that the columns that information_schema gives have something to be
// compared with that is not our own code, nor go-mysql's, whose table maps know neither vectors nor compressed columns.
func parseTableMap(t *testing.T, body []byte, mariadb bool) (uint64, rowsEvent, string) {
	w := wire{body}
	id := w.uint(6)
	w.take(2)
	database := string(w.take(int(w.uint(1))))
	w.take(1)
	e := rowsEvent{table: string(w.take(int(w.uint(1))))}
	w.take(1)
	n := int(w.lenenc())
	e.columns = make([]Column, n)
	types := w.take(n)
	meta := wire{w.take(int(w.lenenc()))}
	for i := range e.columns {
		parseMeta(&e.columns[i], Type(types[i]), &meta)
	}
	nulls := w.take((n + 7) / 8)
	for i := range e.columns {
		e.columns[i].Nullable = nulls[i/8]>>(i%8)&1 != 0
		e.columns[i].Known |= KnownKey
	}
	for len(w.b) > 0 {
		kind := w.uint(1)
		parseOptional(t, e.columns, int(kind), wire{w.take(int(w.lenenc()))}, mariadb)
	}
	for i := range e.columns { // labels come before their character set
		c := &e.columns[i]
		for j, label := range c.Labels {
			text, err := AppendUTF8(nil, c.Collation, []byte(label))
			if err != nil {
				t.Fatal(err)
			}
			c.Labels[j] = string(text)
		}
	}
	return id, e, database
}

func parseMeta(c *Column, typ Type, meta *wire) {
	c.Type = typ
	switch typ {
	case TypeString:
		high, low := meta.uint(1), meta.uint(1)
		switch real := Type(high); real {
		case TypeEnum, TypeSet:
			c.Type, c.Meta = real, uint16(low)
		default: // the two highest bits of the length are inverted and stand in the type
			c.Meta = uint16((high&0x30^0x30)<<4 | low)
		}
	case TypeNewDecimal:
		c.Meta = uint16(meta.uint(1)<<8 | meta.uint(1))
	case TypeVarchar, TypeVarString, TypeVarcharZip:
		c.Meta = uint16(meta.uint(2))
	case TypeBit:
		c.Meta = uint16(meta.uint(1) + meta.uint(1)*8)
	case TypeBlob, TypeBlobZip, TypeJSON, TypeGeometry, TypeVector, TypeFloat, TypeDouble, TypeTime2, TypeDateTime2, TypeTimestamp2:
		c.Meta = uint16(meta.uint(1))
	}
}

func parseOptional(t *testing.T, columns []Column, kind int, v wire, mariadb bool) {
	pick := func(known Known, types ...Type) (picked []*Column) {
		for i := range columns {
			if strings.ContainsRune(typeSet(types...), rune(columns[i].Type)) {
				columns[i].Known |= known
				picked = append(picked, &columns[i])
			}
		}
		return picked
	}
	text := []Type{TypeString, TypeVarString, TypeVarchar, TypeBlob}
	other := []Type{TypeVector}
	if mariadb {
		text, other = append(text, TypeBlobZip, TypeVarcharZip), []Type{TypeGeometry}
	}
	withCollation := func() (picked []*Column) {
		pick(KnownCollation, text...)
		return pick(0, append(text, other...)...)
	}
	switch kind {
	case metaSign:
		numbers := pick(KnownSign, TypeTiny, TypeShort, TypeInt24, TypeLong, TypeLongLong, TypeFloat, TypeDouble, TypeNewDecimal, TypeYear)
		for i, c := range numbers {
			c.Unsigned = v.b[i/8]<<(i%8)&0x80 != 0
			if c.Type == TypeYear { // it has no sign to speak of
				c.Unsigned, c.Known = false, c.Known&^KnownSign
			}
		}
	case metaDefaultCharset:
		setDefault(withCollation(), v)
	case metaColumnCharset:
		for _, c := range withCollation() {
			setCollation(c, v.lenenc())
		}
	case metaLabelDefaultCharset:
		setDefault(pick(KnownCollation, TypeEnum, TypeSet), v)
	case metaLabelColumnCharset:
		for _, c := range pick(KnownCollation, TypeEnum, TypeSet) {
			setCollation(c, v.lenenc())
		}
	case metaName:
		for i := range columns {
			columns[i].Name = string(v.take(int(v.lenenc())))
			columns[i].Known |= KnownName
		}
	case metaSetLabels, metaEnumLabels:
		typ := map[int]Type{metaSetLabels: TypeSet, metaEnumLabels: TypeEnum}[kind]
		for _, c := range pick(KnownLabels, typ) {
			for range v.lenenc() {
				c.Labels = append(c.Labels, string(v.take(int(v.lenenc()))))
			}
		}
	case metaGeometry:
		for _, c := range pick(0, TypeGeometry) {
			c.Class = [...]string{"", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection"}[v.lenenc()]
		}
	case metaKey, metaKeyPrefix:
		for place := uint16(1); len(v.b) > 0; place++ {
			columns[v.lenenc()].Key = place
			if kind == metaKeyPrefix {
				v.lenenc()
			}
		}
	}
}

func typeSet(types ...Type) string {
	var b strings.Builder
	for _, t := range types {
		b.WriteRune(rune(t))
	}
	return b.String()
}

func setDefault(columns []*Column, v wire) {
	first := v.lenenc()
	for _, c := range columns {
		setCollation(c, first)
	}
	for len(v.b) > 0 {
		setCollation(columns[v.lenenc()], v.lenenc())
	}
}

// setCollation leaves those types out that have a collation on the wire and none to speak of.
func setCollation(c *Column, id uint64) {
	if c.Type != TypeGeometry && c.Type != TypeVector {
		c.Collation = uint16(id)
	}
}

// informed are the columns of a table as information_schema has them.
func (s *server) informed(c *conn, database, table string) []Column {
	c.t.Helper()
	collation := "(SELECT k.ID FROM information_schema.COLLATIONS k WHERE k.COLLATION_NAME = c.COLLATION_NAME)"
	if s.mariadb() {
		collation = "(SELECT k.ID FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY k WHERE k.FULL_COLLATION_NAME = c.COLLATION_NAME)"
	}
	rows := c.rows(fmt.Sprintf(`SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_OCTET_LENGTH, %s, NUMERIC_PRECISION, NUMERIC_SCALE,
		DATETIME_PRECISION, IS_NULLABLE = 'YES', (SELECT SEQ_IN_INDEX FROM information_schema.STATISTICS i
		WHERE i.TABLE_SCHEMA = c.TABLE_SCHEMA AND i.TABLE_NAME = c.TABLE_NAME AND i.COLUMN_NAME = c.COLUMN_NAME AND i.INDEX_NAME = 'PRIMARY')
		FROM information_schema.COLUMNS c WHERE TABLE_SCHEMA = '%s' AND TABLE_NAME = '%s' ORDER BY ORDINAL_POSITION`, collation, database, table))
	number := func(field []byte) uint64 {
		v, _ := strconv.ParseUint(string(field), 10, 64)
		return v
	}
	columns := make([]Column, len(rows))
	for i, r := range rows {
		var err error
		columns[i], err = FromInformationSchema(Facts{
			Name: string(r[0]), DataType: string(r[1]), ColumnType: string(r[2]), OctetLength: number(r[3]), Collation: uint16(number(r[4])),
			Precision: uint16(number(r[5])), Scale: uint16(number(r[6])), Fraction: uint16(number(r[7])), Nullable: number(r[8]) == 1,
			Key: uint16(number(r[9])),
		})
		if err != nil {
			c.t.Fatal(err)
		}
	}
	return columns
}

// table is the table of the columns, ready for packing.
func table(t testing.TB, columns []Column) *schema.Table {
	t.Helper()
	st := &schema.Table{ID: 1, Source: "shop", Schema: "test", Name: "t"}
	for i := range columns {
		sc, err := columns[i].Schema(uint32(i + 1))
		if err != nil {
			t.Fatal(err)
		}
		st.Columns = append(st.Columns, sc)
	}
	if err := st.Prepare(); err != nil {
		t.Fatal(err)
	}
	return st
}

// startServer is the shared server of a flavor.
func startServer(t *testing.T, flavor testservers.Flavour) *server {
	t.Helper()
	return serverOf(testservers.SharedMySQL(t, flavor))
}

func serverOf(m *testservers.MySQL) *server {
	return &server{MySQL: m, flavor: string(m.Flavour()), user: m.Superuser(), password: m.Password(m.Superuser())}
}
