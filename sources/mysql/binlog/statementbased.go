package binlog

// StatementBased tells the types of events that only go with changes that were logged as statements. Rows cannot be told from
// them; they are read only so that whoever stops at one can say what it was.
func (t Type) StatementBased() bool {
	switch t {
	case TypeIntVar, TypeRand, TypeUserVar, TypeLoad, TypeNewLoad, TypeCreateFile, TypeAppendBlock, TypeExecLoad, TypeDeleteFile,
		TypeBeginLoadQuery, TypeExecuteLoadQuery:
		return true
	}
	return false
}

// IntVar is an INTVAR: a number that the statement after it uses.
type IntVar struct {
	// Kind is 1 for LAST_INSERT_ID(), 2 for the next AUTO_INCREMENT.
	Kind  byte
	Value uint64
}

// ParseIntVar reads an INTVAR.
func ParseIntVar(e Event) (IntVar, error) {
	r := reader{b: e.Body}
	v := IntVar{r.u8(), r.u64()}
	return v, r.err(e.Type)
}

// Rand is a RAND: the seeds of RAND() in the statement after it.
type Rand struct{ Seed1, Seed2 uint64 }

// ParseRand reads a RAND.
func ParseRand(e Event) (Rand, error) {
	r := reader{b: e.Body}
	v := Rand{r.u64(), r.u64()}
	return v, r.err(e.Type)
}

// UserVar is a USER_VAR: the value of a variable that the statement after it uses.
type UserVar struct {
	Name []byte
	Null bool
	// Kind is the server's Item_result: 0 string, 1 float, 2 integer, 4 decimal.
	Kind      byte
	Collation uint32
	Value     []byte
	Unsigned  bool
}

const userVarUnsigned = 1

// ParseUserVar reads a USER_VAR (mysql-server, libs/mysql/binlog/event/statement_events.h: User_var_event).
func ParseUserVar(e Event) (UserVar, error) {
	r := reader{b: e.Body}
	var v UserVar
	v.Name = r.sized(uint64(r.u32()))
	if v.Null = r.u8() != 0; v.Null {
		return v, r.err(e.Type)
	}
	v.Kind, v.Collation = r.u8(), r.u32()
	v.Value = r.sized(uint64(r.u32()))
	if len(r.b) > 0 { // not from old servers
		v.Unsigned = r.u8()&userVarUnsigned != 0
	}
	return v, r.err(e.Type)
}

// LoadBlock is a BEGIN_LOAD_QUERY, APPEND_BLOCK or DELETE_FILE: a piece of the file of a LOAD DATA, or none.
type LoadBlock struct {
	File uint32
	Data []byte
}

// ParseLoadBlock reads a BEGIN_LOAD_QUERY, APPEND_BLOCK or DELETE_FILE.
func ParseLoadBlock(e Event) (LoadBlock, error) {
	r := reader{b: e.Body}
	b := LoadBlock{r.u32(), r.rest()}
	return b, r.err(e.Type)
}

// LoadQuery is an EXECUTE_LOAD_QUERY: the LOAD DATA statement whose file the blocks before it hold.
type LoadQuery struct {
	Query
	File uint32
	// NameStart and NameEnd are where the file's name stands in the statement.
	NameStart, NameEnd uint32
	// Duplicates is what to do with rows that exist: 0 an error, 1 keep them, 2 replace them.
	Duplicates byte
}

// ParseLoadQuery reads an EXECUTE_LOAD_QUERY.
func ParseLoadQuery(e Event) (LoadQuery, error) {
	r := reader{b: e.Body}
	var q LoadQuery
	q.Thread, q.Seconds = r.u32(), r.u32()
	schema := int(r.u8())
	q.ErrorCode = r.u16()
	status := int(r.u16())
	q.File, q.NameStart, q.NameEnd, q.Duplicates = r.u32(), r.u32(), r.u32(), r.u8()
	q.finish(&r, status, schema)
	q.Text = r.rest()
	return q, r.err(e.Type)
}
