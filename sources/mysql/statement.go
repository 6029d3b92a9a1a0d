package mysql

import (
	"context"

	"cdc/sources"
	"cdc/sources/mysql/binlog"
)

// messageDDL is the prefix of the messages that keep the text of DDL statements.
const messageDDL = "mysql.ddl"

// query handles a statement: one that begins or ends a transaction, or DDL.
func (st *stream) query(ctx context.Context, e binlog.Event) error {
	q, err := binlog.ParseQuery(e, &st.inflater)
	if err != nil {
		return st.corrupt(err)
	}
	s := binlog.ParseStatement(binlog.StatementText{Text: q.Text, Schema: q.Schema, Mode: q.Status.SQLMode, Format: &st.format})
	switch s.Kind {
	case binlog.StatementBegin:
		if st.group.open && st.group.xa == nil && st.at.Flavour != FlavourMariaDB && st.group.maria.Seq == 0 {
			return st.corrupt(errOpen)
		}
		st.group.open = true
		return nil
	case binlog.StatementCommit:
		return st.commit(ctx, e)
	case binlog.StatementRollback:
		if err := st.out.Rollback(); err != nil {
			return err
		}
		return st.finish(ctx, &e)
	case binlog.StatementSavepoint:
		st.savepoint(s.Savepoint)
		return nil
	case binlog.StatementXAEnd:
		return nil
	case binlog.StatementXAStart, binlog.StatementXAPrepare, binlog.StatementXACommit, binlog.StatementXARollback:
		return st.xaStatement(ctx, &e, &s)
	case binlog.StatementRollbackTo:
		return st.rollbackTo(&s, q.Text)
	}
	if st.group.skip || st.group.void {
		return st.endStatement(ctx, &e, &s)
	}
	if s.Kind == binlog.StatementRows || s.Kind == binlog.StatementCreateSelect || s.Kind == binlog.StatementUnknown {
		s.Schema = string(q.Schema)
		if err := st.guide.rows(&s, q.Text); err != nil {
			return st.named(err)
		}
		return st.endStatement(ctx, &e, &s)
	}
	keep, err := st.guide.statement(ctx, &s, q.Text)
	if err != nil {
		return st.named(err)
	}
	if keep {
		if err := st.out.Message([]byte(messageDDL), q.Text); err != nil {
			return err
		}
	}
	if s.Kind != binlog.StatementOther {
		st.forget()
	}
	return st.endStatement(ctx, &e, &s)
}

// endStatement ends the group of a statement that commits by itself.
func (st *stream) endStatement(ctx context.Context, e *binlog.Event, s *binlog.Statement) error {
	if s.Transactional {
		st.group.open = true
		return nil
	}
	if st.group.open && !st.group.alone {
		return nil // within a transaction, whose commit follows
	}
	return st.finish(ctx, e)
}

// named gives a stop of the guide its position.
func (st *stream) named(err error) error {
	stop, ok := err.(*sources.Stop)
	if ok && stop.Position == "" {
		stop.Position = FormatPosition(&st.at)
	}
	return err
}

// shorten cuts a statement for a message. Values in it may be anybody's data: only its beginning is shown.
func shorten(sql []byte) string {
	const most = 80
	if len(sql) > most {
		return string(sql[:most]) + "…"
	}
	return string(sql)
}
