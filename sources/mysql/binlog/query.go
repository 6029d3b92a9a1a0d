package binlog

// Query is a QUERY or QUERY_COMPRESSED: a statement as text. In a log of rows these are BEGIN, COMMIT of engines without
// transactions, and DDL.
type Query struct {
	Thread    uint32
	Seconds   uint32 // how long the statement ran
	ErrorCode uint16
	// Schema is the default database of the session, in UTF-8.
	Schema []byte
	// Text is the statement, in the session's character set.
	Text   []byte
	Status Status
}

// Status is what a QUERY tells of the session, as far as it matters here.
type Status struct {
	// Charset is the number of a collation of the character set of the statement's text; 0 when it is not told.
	Charset uint16
	// SQLMode is @@sql_mode.
	SQLMode SQLMode
	// Microseconds are those of the second in the header's timestamp.
	Microseconds uint32
	// DDLXID is the engine's transaction of a DDL statement that is atomic (MySQL 8.0), which no XID event follows.
	DDLXID    uint64
	HasDDLXID bool
	// MariaXID is the engine's transaction of a MariaDB COMMIT or DDL.
	MariaXID uint64
}

// SQLMode is @@sql_mode as a number.
type SQLMode uint64

// Modes that change how a statement's text is read.
const (
	ModeANSIQuotes         SQLMode = 1 << 2
	ModeNoBackslashEscapes SQLMode = 1 << 20
)

// Codes of status variables (mysql-server, libs/mysql/binlog/event/statement_events.h; MariaDB server, sql/log_event.h).
const (
	statusFlags2            = 0
	statusSQLMode           = 1
	statusCatalogZero       = 2
	statusAutoIncrement     = 3
	statusCharset           = 4
	statusTimeZone          = 5
	statusCatalog           = 6
	statusTimeNames         = 7
	statusDatabaseCharset   = 8
	statusTableMapForUpdate = 9
	statusDataWritten       = 10
	statusInvoker           = 11
	statusUpdatedDBs        = 12
	statusMicroseconds      = 13
	statusCommitTime        = 14
	statusCommitTime2       = 15
	statusExplicitDefaults  = 16
	statusDDLXID            = 17
	statusUTF8MB4Collation  = 18
	statusRequireKey        = 19
	statusTableEncryption   = 20
	statusCascadeTriggers   = 21

	statusMariaMicroseconds = 128
	statusMariaXID          = 129
	statusMariaGTIDFlags    = 130
	statusMariaCollations   = 131
)

// statusSizes are the sizes of those that need no reading. A code that is in neither place ends the reading, as on the servers.
var statusSizes = map[byte]int{
	statusFlags2: 4, statusAutoIncrement: 4, statusTimeNames: 2, statusDatabaseCharset: 2, statusTableMapForUpdate: 8,
	statusDataWritten: 4, statusCommitTime: 7, statusCommitTime2: 14, statusExplicitDefaults: 1, statusUTF8MB4Collation: 2,
	statusRequireKey: 1, statusTableEncryption: 1, statusCascadeTriggers: 1,
}

// ParseQuery reads a QUERY or, through z, a QUERY_COMPRESSED. The text of the latter is valid until z is used again.
func ParseQuery(e Event, z *Inflater) (Query, error) {
	r := reader{b: e.Body}
	q := parseQueryHeader(&r)
	q.Text = r.rest()
	if err := r.err(e.Type); err != nil || e.Type != TypeMariaQueryCompressed {
		return q, err
	}
	text, err := z.inflate(e.Type, q.Text)
	q.Text = text
	return q, err
}

// parseQueryHeader reads what stands before the text.
func parseQueryHeader(r *reader) Query {
	q := Query{Thread: r.u32(), Seconds: r.u32()}
	schema := int(r.u8())
	q.ErrorCode = r.u16()
	status := int(r.u16())
	q.finish(r, status, schema)
	return q
}

// finish reads status variables and schema.
func (q *Query) finish(r *reader, status, schema int) {
	vars := reader{b: r.take(status)}
	for len(vars.b) > 0 && q.Status.read(&vars) {
	}
	r.bad = r.bad || vars.bad
	q.Schema = r.take(schema)
	if r.u8() != 0 {
		r.fail()
	}
}

// read reads one variable and tells whether its code is known.
func (s *Status) read(r *reader) bool {
	code := r.u8()
	if size, fixed := statusSizes[code]; fixed {
		r.take(size)
		return true
	}
	switch code {
	case statusSQLMode:
		s.SQLMode = SQLMode(r.u64())
	case statusCharset:
		s.Charset = r.u16()
		r.take(4) // of the connection's collation and of the server's
	case statusCatalogZero:
		r.take(int(r.u8()) + 1)
	case statusTimeZone, statusCatalog:
		r.take(int(r.u8()))
	case statusInvoker:
		r.take(int(r.u8()))
		r.take(int(r.u8()))
	case statusUpdatedDBs:
		readUpdatedDBs(r)
	case statusMicroseconds, statusMariaMicroseconds:
		if b := r.take(3); b != nil {
			s.Microseconds = uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		}
	case statusDDLXID:
		s.DDLXID, s.HasDDLXID = r.u64(), true
	case statusMariaXID:
		s.MariaXID = r.u64()
	case statusMariaGTIDFlags:
		if MariaGTIDExtra(r.u8())&(MariaCommitAlter|MariaRollbackAlter) != 0 {
			r.u64()
		}
	case statusMariaCollations:
		r.take(4 * int(r.u8()))
	default:
		return false
	}
	return true
}

// updatedDBsMax is how many names there may be; a larger number says that there were too many to name.
const updatedDBsMax = 16

func readUpdatedDBs(r *reader) {
	n := int(r.u8())
	if n > updatedDBsMax {
		return
	}
	for range n {
		r.text()
	}
}

// ParseRowsQuery reads a MySQL ROWS_QUERY or a MariaDB ANNOTATE_ROWS: the statement that the rows come from.
func ParseRowsQuery(e Event) (text []byte, err error) {
	r := reader{b: e.Body}
	if e.Type == TypeRowsQuery {
		r.u8() // its length, as far as it fits into a byte
	}
	text = r.rest()
	return text, r.err(e.Type)
}
