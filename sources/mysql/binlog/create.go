package binlog

// create reads CREATE up to the name of what it creates.
func (p *statementReader) create() {
	if p.accept("OR") {
		p.expect("REPLACE")
		p.s.Replace = true
	}
	switch {
	case p.acceptAny("GLOBAL", "TEMPORARY"):
		p.s.Kind = StatementOther
	case p.accept("TABLE"):
		p.createTable()
	case p.acceptAny("DATABASE", "SCHEMA"):
		p.ifExists()
		p.s.Schema = p.name()
		p.s.Kind = StatementCreateDatabase
	case p.t.isAny("INDEX", "UNIQUE", "FULLTEXT", "SPATIAL", "ONLINE", "OFFLINE", "VIEW", "ALGORITHM", "DEFINER", "SQL", "USER", "ROLE",
		"TRIGGER", "PROCEDURE", "FUNCTION", "AGGREGATE", "EVENT", "SERVER", "TABLESPACE", "LOGFILE", "UNDO", "RESOURCE", "SEQUENCE",
		"PACKAGE", "LIBRARY", "VECTOR", "MASKING", "CATALOG", "JSON"):
		p.s.Kind = StatementOther
	}
}

// createTable reads on to the end: a SELECT may stand anywhere after the name.
func (p *statementReader) createTable() {
	p.s.Kind = StatementCreateTable
	p.ifExists()
	p.s.Tables = []TableChange{{Table: p.table()}}
	var last token
	for p.t.kind != tokenEnd {
		t := p.advance()
		switch {
		// These words are reserved: where they are no names of something else, rows come from them. VALUES also stands in
		// partitions, there before LESS or IN.
		case t.is("SELECT") && !last.isSign('.'), t.is("VALUES") && (p.t.isSign('(') || p.t.is("ROW")), t.is("TABLE") && !last.isSign('.'):
			p.s.Kind = StatementCreateSelect
		case t.is("TRANSACTION") && last.is("START"):
			p.s.Transactional = true
		case t.isSign(';') && p.t.kind != tokenEnd:
			p.failed = true
		}
		last = t
	}
}
