package binlog

// alter reads ALTER.
func (p *statementReader) alter() {
	p.acceptAny("ONLINE", "OFFLINE")
	p.accept("IGNORE")
	switch {
	case p.accept("TABLE"):
		p.alterTable()
	case p.acceptAny("DATABASE", "SCHEMA"):
		p.alterDatabase()
	case p.t.isAny("VIEW", "USER", "ROLE", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "SERVER", "TABLESPACE", "LOGFILE", "UNDO",
		"RESOURCE", "INSTANCE", "SEQUENCE", "ALGORITHM", "DEFINER", "SQL", "PACKAGE", "LIBRARY", "CATALOG"):
		p.s.Kind = StatementOther
	}
}

// alterDatabase reads ALTER DATABASE, which may only give the database another name: MySQL 5.7's UPGRADE DATA DIRECTORY NAME.
func (p *statementReader) alterDatabase() {
	p.s.Kind = StatementOther
	for p.t.kind != tokenEnd {
		if t := p.advance(); t.is("UPGRADE") {
			p.failed = true
		}
	}
}

func (p *statementReader) alterTable() {
	p.s.Kind = StatementAlterTable
	p.ifExists()
	p.s.Tables = []TableChange{{Table: p.table()}}
	p.wait()
	for p.t.kind != tokenEnd && !p.failed {
		p.action()
		p.skipAction()
	}
}

// action reads one of an ALTER TABLE's actions, as far as it adds or drops columns, gives something another name or moves rows.
func (p *statementReader) action() {
	switch {
	case p.accept("RENAME"):
		p.renameAction()
	case p.accept("CHANGE"):
		p.accept("COLUMN")
		p.ifExists()
		p.columnRename(ColumnRename{p.name(), p.name()})
	case p.acceptAny("DISCARD", "IMPORT"):
		p.s.MovesRows = true
	case p.accept("TRUNCATE"):
		p.s.MovesRows = p.s.MovesRows || p.accept("PARTITION")
	case p.accept("DROP"):
		p.dropAction()
	case p.accept("ADD"):
		p.addAction()
	case p.accept("EXCHANGE"):
		p.s.MovesRows = true
		p.otherTable("WITH", "TABLE")
	case p.accept("CONVERT"):
		if p.accept("PARTITION") {
			p.s.MovesRows = true
			p.otherTable("TO", "TABLE")
		} else if p.accept("TABLE") {
			p.s.MovesRows = true
			p.s.Tables = append(p.s.Tables, TableChange{Table: p.table()})
		}
	}
}

// dropAction reads what is dropped. Words that begin something else may be columns where they are not reserved.
func (p *statementReader) dropAction() {
	switch {
	case p.accept("PARTITION"):
		p.s.MovesRows = true
	case p.acceptAny("INDEX", "KEY", "PRIMARY", "FOREIGN", "CONSTRAINT", "CHECK"):
	default:
		p.accept("COLUMN")
		p.ifExists()
		system := p.t.is("SYSTEM")
		name := p.name()
		p.s.MovesRows = p.s.MovesRows || system && p.t.is("VERSIONING")
		p.s.Dropped = append(p.s.Dropped, name)
	}
}

// addAction reads the names of what is added: one column, or several within parentheses.
func (p *statementReader) addAction() {
	if p.acceptAny("INDEX", "KEY", "UNIQUE", "FULLTEXT", "SPATIAL", "PRIMARY", "FOREIGN", "CONSTRAINT", "CHECK", "PARTITION") {
		return
	}
	p.accept("COLUMN")
	p.ifExists()
	if !p.acceptSign('(') {
		p.s.Added = append(p.s.Added, p.name())
		return
	}
	p.s.Added = append(p.s.Added, p.name())
	for depth := 1; depth > 0 && p.t.kind != tokenEnd; {
		t := p.advance()
		switch {
		case t.isSign('('):
			depth++
		case t.isSign(')'):
			depth--
		case t.isSign(',') && depth == 1:
			p.s.Added = append(p.s.Added, p.name())
		}
	}
}

// otherTable reads on to the other table of an action.
func (p *statementReader) otherTable(before, keyword string) {
	for p.t.kind != tokenEnd {
		if t := p.advance(); t.is(before) && p.accept(keyword) {
			p.s.Tables = append(p.s.Tables, TableChange{Table: p.table()})
			return
		}
	}
	p.failed = true
}

func (p *statementReader) renameAction() {
	switch {
	case p.acceptAny("INDEX", "KEY"):
	case p.accept("COLUMN"):
		p.ifExists()
		from := p.name()
		p.expect("TO")
		p.columnRename(ColumnRename{from, p.name()})
	default:
		if !p.acceptAny("TO", "AS") {
			p.acceptSign('=')
		}
		p.s.Tables[0].To = p.table()
	}
}

func (p *statementReader) columnRename(r ColumnRename) {
	if r.From != r.To {
		p.s.Columns = append(p.s.Columns, r)
	}
}

// skipAction reads on behind the comma that ends an action.
func (p *statementReader) skipAction() {
	for depth := 0; p.t.kind != tokenEnd; {
		t := p.advance()
		switch {
		case t.isSign('('):
			depth++
		case t.isSign(')'):
			depth--
		case t.isSign(';') && p.t.kind != tokenEnd:
			p.failed = true
			return
		case t.isSign(',') && depth == 0:
			return
		}
	}
}
