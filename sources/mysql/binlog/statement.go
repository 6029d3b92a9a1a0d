package binlog

// StatementKind is what a statement does, as far as it matters to a log of rows.
type StatementKind uint8

// Kinds of statements.
const (
	// StatementUnknown is one that could do anything.
	StatementUnknown StatementKind = iota
	StatementBegin
	StatementCommit
	StatementRollback
	StatementSavepoint  // SAVEPOINT or RELEASE SAVEPOINT
	StatementRollbackTo // what came after the savepoint is undone
	StatementXAStart
	StatementXAEnd
	StatementXAPrepare
	StatementXACommit
	StatementXARollback
	StatementCreateTable
	// StatementCreateSelect is a CREATE TABLE … SELECT whose rows are not in the log.
	StatementCreateSelect
	StatementAlterTable
	StatementDropTable
	StatementRenameTable
	StatementTruncateTable
	StatementCreateDatabase
	StatementDropDatabase
	// StatementRows changes rows that are not in the log: statement based replication.
	StatementRows
	// StatementOther changes neither rows nor the columns of a table: views, indexes, users, routines, temporary tables.
	StatementOther
)

var statementNames = [...]string{
	"unknown", "begin", "commit", "rollback", "savepoint", "rollback to", "xa start", "xa end", "xa prepare", "xa commit", "xa rollback",
	"create table", "create table select", "alter table", "drop table", "rename table", "truncate table", "create database",
	"drop database", "rows", "other",
}

func (k StatementKind) String() string { return statementNames[k] }

// TableName names a table. Names are as the statement spells them: a server with lower_case_table_names logs tables under the same
// names in another case.
type TableName struct{ Schema, Name string }

// TableChange is a table that a statement is about.
type TableChange struct {
	Table TableName
	// To is the table's new name, when it gets one.
	To TableName
}

// ColumnRename is a column that gets another name.
type ColumnRename struct{ From, To string }

// Statement is what can be told of a statement.
type Statement struct {
	Kind StatementKind
	// Unsure says that the statement could not be read to where it matters: it may do more than is told here. A caller that must
	// not miss anything stops.
	Unsure bool
	// Tables are those that it creates, alters, drops, renames or empties, in its order. Renames take effect one after the other.
	Tables []TableChange
	// Columns are those that an ALTER TABLE renames, in its order. CHANGE that keeps the name is not among them.
	Columns []ColumnRename
	// Dropped and Added are the columns that an ALTER TABLE drops and adds. A word that begins something else and is not reserved, such
	// as PERIOD, counts as a column.
	Dropped, Added []string
	// Schema is the database that is created or dropped, and of a statement that changes rows the current one, if the caller knows it.
	Schema string
	// Replace says that what is created replaces one of the same name that may exist (CREATE OR REPLACE).
	Replace bool
	// Transactional says that rows of the table follow in the same transaction, and a COMMIT (MySQL 8.0.21: CREATE TABLE …
	// START TRANSACTION, for a CREATE TABLE … SELECT).
	Transactional bool
	// MovesRows says that an ALTER TABLE adds or removes rows that are not in the log: it drops, truncates, exchanges, converts or
	// imports partitions or tablespaces.
	MovesRows bool
	// XID names the transaction of an XA statement.
	XID XID
	// Savepoint is the one that a statement makes, releases or rolls back to.
	Savepoint string
}

// StatementText is a statement and what its reading depends on, all of which a Query and a Format tell.
type StatementText struct {
	// Text must be in UTF-8 or a character set whose bytes below 128 are always ASCII. That excludes big5, cp932, gbk, gb18030 and
	// sjis, whose characters may end in what looks like a quote.
	Text []byte
	// Schema is the one of tables that are named without.
	Schema []byte
	Mode   SQLMode
	Format *Format
}

// dialect is how a server reads statements.
type dialect struct {
	ansiQuotes, noBackslash, mariaDB bool
	version                          uint32
}

// ParseStatement reads as much of a statement as matters. It allocates nothing for those that begin and end transactions.
func ParseStatement(s StatementText) Statement {
	if bare, is := bareStatement(s.Text); is {
		return Statement{Kind: bare}
	}
	p := statementReader{schema: s.Schema}
	p.lexer.text = s.Text
	p.lexer.ansiQuotes = s.Mode&ModeANSIQuotes != 0
	p.lexer.noBackslash = s.Mode&ModeNoBackslashEscapes != 0
	if s.Format != nil {
		p.lexer.mariaDB, p.lexer.version = s.Format.MariaDB, s.Format.Version
	}
	p.advance()
	p.statement()
	p.s.Unsure = p.s.Unsure || p.failed || p.lexer.bad || p.lexer.unsure || p.s.Kind == StatementUnknown
	return p.s
}

// bareStatement tells the texts that servers write themselves.
func bareStatement(text []byte) (StatementKind, bool) {
	switch {
	case equalFold(text, "BEGIN"):
		return StatementBegin, true
	case equalFold(text, "COMMIT"):
		return StatementCommit, true
	case equalFold(text, "ROLLBACK"):
		return StatementRollback, true
	}
	return 0, false
}

// statementReader reads a statement token by token. Once it has failed, it takes everything for read.
type statementReader struct {
	lexer  lexer
	t      token // the next one
	s      Statement
	schema []byte
	failed bool
}

func (p *statementReader) advance() token {
	t := p.t
	p.t = p.lexer.next()
	return t
}

// accept goes past a keyword if it is next.
func (p *statementReader) accept(keyword string) bool {
	if !p.t.is(keyword) {
		return false
	}
	p.advance()
	return true
}

func (p *statementReader) acceptAny(keywords ...string) bool {
	if !p.t.isAny(keywords...) {
		return false
	}
	p.advance()
	return true
}

func (p *statementReader) acceptSign(c byte) bool {
	if !p.t.isSign(c) {
		return false
	}
	p.advance()
	return true
}

func (p *statementReader) expect(keyword string) {
	if !p.accept(keyword) {
		p.failed = true
	}
}

// end wants nothing more but a semicolon.
func (p *statementReader) end() {
	p.acceptSign(';')
	if p.t.kind != tokenEnd {
		p.failed = true
	}
}

// ifExists goes past IF EXISTS or IF NOT EXISTS.
func (p *statementReader) ifExists() {
	if p.accept("IF") {
		p.accept("NOT")
		p.expect("EXISTS")
	}
}

// name reads a name, with quotes or without.
func (p *statementReader) name() string {
	// A name may begin with digits but not consist of them, unless it is quoted.
	if p.t.kind != tokenWord && p.t.kind != tokenQuoted {
		p.failed = true
		return ""
	}
	t := p.advance()
	return t.unquote()
}

// table reads the name of a table, with its database or without.
func (p *statementReader) table() TableName {
	n := TableName{Schema: string(p.schema), Name: p.name()}
	if p.acceptSign('.') {
		n.Schema = n.Name
		if n.Name = string(p.t.text); p.t.kind == tokenNumber {
			p.advance() // after a dot, digits are a name
			return n
		}
		n.Name = p.name()
	}
	return n
}

// statement reads a statement from its first keyword on.
func (p *statementReader) statement() {
	t := p.advance()
	if t.kind != tokenWord {
		return
	}
	switch {
	case t.is("BEGIN"):
		p.accept("WORK")
		p.simple(StatementBegin)
	case t.is("START"):
		p.start()
	case t.is("COMMIT"):
		p.simple(StatementCommit) // AND CHAIN, RELEASE: what they do is in the log by itself
		p.failed = false
	case t.is("ROLLBACK"):
		p.rollback()
	case t.is("SAVEPOINT"):
		p.s.Savepoint = p.name()
		p.simple(StatementSavepoint)
	case t.is("RELEASE"):
		p.expect("SAVEPOINT")
		p.s.Savepoint = p.name()
		p.simple(StatementSavepoint)
	case t.is("XA"):
		p.xa()
	case t.is("CREATE"):
		p.create()
	case t.is("ALTER"):
		p.alter()
	case t.is("DROP"):
		p.drop()
	case t.is("RENAME"):
		p.rename()
	case t.is("TRUNCATE"):
		p.truncate()
	case t.is("SET"):
		p.set()
	default:
		p.s.Kind = p.kindOf(&t)
	}
}

func (p *statementReader) simple(kind StatementKind) {
	p.s.Kind = kind
	p.end()
}

// kindOf is the kind of statements that are not read any further.
func (p *statementReader) kindOf(t *token) StatementKind {
	switch {
	case t.isAny("INSERT", "UPDATE", "DELETE", "REPLACE", "CALL", "DO", "SELECT", "WITH", "VALUES", "TABLE", "HANDLER", "EXECUTE"):
		return StatementRows
	case t.is("LOAD"):
		if p.t.is("INDEX") {
			return StatementOther
		}
		return StatementRows
	case t.is("ANALYZE"):
		// MariaDB executes the statement that follows, unless it is about tables.
		if p.t.isAny("TABLE", "TABLES", "LOCAL", "NO_WRITE_TO_BINLOG") {
			return StatementOther
		}
		return StatementRows
	case t.isAny("GRANT", "REVOKE", "FLUSH", "OPTIMIZE", "REPAIR", "CHECK", "CHECKSUM", "INSTALL", "UNINSTALL", "USE", "LOCK",
		"UNLOCK", "RESET", "PURGE", "KILL", "CACHE", "STOP", "CHANGE", "SHOW", "EXPLAIN", "DESCRIBE", "DESC", "HELP", "PREPARE",
		"DEALLOCATE", "BACKUP", "SIGNAL", "RESIGNAL", "SHUTDOWN", "RESTART"):
		return StatementOther
	}
	return StatementUnknown
}

func (p *statementReader) start() {
	if p.accept("TRANSACTION") {
		p.s.Kind = StatementBegin
		return
	}
	p.s.Kind = StatementOther // of replication
}

func (p *statementReader) rollback() {
	p.accept("WORK")
	if !p.accept("TO") {
		p.s.Kind = StatementRollback // AND CHAIN, RELEASE
		return
	}
	p.accept("SAVEPOINT")
	p.s.Savepoint = p.name()
	p.simple(StatementRollbackTo)
}

// set reads SET, behind whose variables MariaDB allows a statement: SET STATEMENT … FOR ….
func (p *statementReader) set() {
	if !p.lexer.mariaDB || !p.accept("STATEMENT") {
		p.s.Kind = StatementOther
		return
	}
	for depth := 0; p.t.kind != tokenEnd; {
		t := p.advance()
		switch {
		case t.isSign('('):
			depth++
		case t.isSign(')'):
			depth--
		case depth == 0 && t.is("FOR"):
			p.statement()
			return
		}
	}
}

func (p *statementReader) rename() {
	if p.accept("USER") {
		p.s.Kind = StatementOther
		return
	}
	if !p.acceptAny("TABLE", "TABLES") {
		return
	}
	p.s.Kind = StatementRenameTable
	p.ifExists()
	for !p.failed {
		change := TableChange{Table: p.table()}
		p.wait()
		p.expect("TO")
		change.To = p.table()
		p.s.Tables = append(p.s.Tables, change)
		if !p.acceptSign(',') {
			break
		}
	}
	p.end()
}

// wait goes past MariaDB's WAIT n and NOWAIT.
func (p *statementReader) wait() {
	if p.accept("NOWAIT") || !p.accept("WAIT") {
		return
	}
	if t := p.advance(); t.kind != tokenNumber {
		p.failed = true
	}
	if p.acceptSign('.') {
		p.advance()
	}
}

func (p *statementReader) truncate() {
	p.s.Kind = StatementTruncateTable
	p.accept("TABLE")
	p.s.Tables = []TableChange{{Table: p.table()}}
	p.wait()
	p.end()
}

func (p *statementReader) drop() {
	switch {
	case p.acceptAny("TEMPORARY"):
		p.s.Kind = StatementOther
	case p.acceptAny("TABLE", "TABLES"):
		p.dropTables()
	case p.acceptAny("DATABASE", "SCHEMA"):
		p.ifExists()
		p.s.Schema = p.name()
		p.simple(StatementDropDatabase)
	case p.accept("INDEX"):
		p.dropIndex()
	case p.t.isAny("VIEW", "USER", "ROLE", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "SERVER", "TABLESPACE", "LOGFILE", "UNDO",
		"RESOURCE", "SPATIAL", "SEQUENCE", "PACKAGE", "PREPARE", "LIBRARY", "MASKING", "CATALOG", "JSON"):
		p.s.Kind = StatementOther
	}
}

func (p *statementReader) dropTables() {
	p.s.Kind = StatementDropTable
	p.ifExists()
	for !p.failed {
		p.s.Tables = append(p.s.Tables, TableChange{Table: p.table()})
		if !p.acceptSign(',') {
			break
		}
	}
	p.wait()
	p.acceptAny("RESTRICT", "CASCADE")
	p.end()
}

// dropIndex reads DROP INDEX, which alters its table when the index is the primary key.
func (p *statementReader) dropIndex() {
	p.s.Kind = StatementOther
	p.ifExists()
	quoted := p.t
	name := p.name()
	if p.failed || !equalFold([]byte(name), "PRIMARY") || quoted.kind != tokenQuoted {
		p.failed = false
		return
	}
	p.s.Kind = StatementAlterTable
	p.expect("ON")
	p.s.Tables = []TableChange{{Table: p.table()}}
}
