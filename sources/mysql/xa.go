package mysql

import (
	"context"
	"errors"
	"fmt"

	"cdc/sources/mysql/binlog"
)

// preparedBytesMax bounds the row events of XA transactions that are prepared and not decided.
const preparedBytesMax = 256 << 20

// xaTransaction is an XA transaction between its start and its end. Its rows count when it is committed, which is another group of
// the binlog: until then their events are kept.
type xaTransaction struct {
	xid    binlog.XID
	group  group
	before *binlog.MariaPos // where a MariaDB server must be read on for it to come again
	events []binlog.Event
	bytes  int
}

// prepared are the transactions that are prepared, oldest first. A new connection gets them again: a MySQL server is told that we do
// not have their GTIDs, and a MariaDB server is read from before the oldest.
type prepared struct {
	all   []*xaTransaction
	bytes int
}

// keepXA keeps a row event of an XA transaction.
func (st *stream) keepXA(e *binlog.Event) error {
	xa := st.group.xa
	if st.prepared.bytes+xa.bytes+len(e.Body) > preparedBytesMax {
		return st.corrupt(fmt.Errorf("XA transactions that are prepared hold more than %d MiB of changes; commit or roll them back, and resolve the source", preparedBytesMax>>20))
	}
	kept := *e
	kept.Body = append([]byte(nil), e.Body...)
	xa.events = append(xa.events, kept)
	xa.bytes += len(e.Body)
	return nil
}

// xaStatement handles XA statements. XA START and XA END stand around the rows; the others decide.
func (st *stream) xaStatement(ctx context.Context, e *binlog.Event, s *binlog.Statement) error {
	switch s.Kind {
	case binlog.StatementXAStart:
		st.group.open = true
		st.group.xa = &xaTransaction{xid: cloneXID(s.XID)}
		return nil
	case binlog.StatementXAPrepare:
		return st.prepare(ctx, e)
	}
	return st.decide(ctx, e, s)
}

func cloneXID(x binlog.XID) binlog.XID {
	x.GTRID, x.BQUAL = append([]byte(nil), x.GTRID...), append([]byte(nil), x.BQUAL...)
	return x
}

// xaPrepare handles the event that ends the rows of an XA transaction.
func (st *stream) xaPrepare(ctx context.Context, e binlog.Event) error {
	p, err := binlog.ParseXAPrepare(e)
	if err == nil && st.group.xa == nil {
		err = errors.New("an XA transaction ends that has not begun")
	}
	if err != nil {
		return st.corrupt(err)
	}
	if !p.OnePhase {
		return st.prepare(ctx, &e)
	}
	xa := st.group.xa
	st.group.xa = nil
	if err := st.replay(ctx, xa); err != nil {
		return err
	}
	return st.finish(ctx, &e)
}

// prepare keeps the transaction until it is decided.
func (st *stream) prepare(ctx context.Context, e *binlog.Event) error {
	xa := st.group.xa
	if xa == nil {
		return st.corrupt(errors.New("an XA transaction is prepared that has not begun"))
	}
	xa.group = st.group
	xa.group.xa = nil
	if st.read != nil {
		xa.before = st.read.Clone()
	}
	st.prepared.all = append(st.prepared.all, xa)
	st.prepared.bytes += xa.bytes
	g := st.group
	st.group = group{}
	if st.at.Flavour == FlavourMySQL && g.mysql.GNO != 0 {
		return st.passed(ctx)
	}
	st.group = g
	st.group.xa = nil
	return st.finish(ctx, e)
}

// decide commits or rolls back a prepared transaction.
func (st *stream) decide(ctx context.Context, e *binlog.Event, s *binlog.Statement) error {
	xa := st.prepared.take(s.XID)
	if st.group.skip {
		return st.finish(ctx, e)
	}
	if xa == nil && s.Kind == binlog.StatementXACommit {
		// It was prepared before the log's first place in the binlog.
		st.guide.unread("an XA transaction was committed that had been prepared before capture began")
	}
	if xa != nil {
		if s.Kind == binlog.StatementXACommit {
			st.group.open = true
			if err := st.replay(ctx, xa); err != nil {
				return err
			}
		}
		if st.at.Flavour == FlavourMySQL && xa.group.mysql.GNO != 0 {
			st.at.GTIDs.Add(xa.group.mysql)
		}
	}
	return st.finish(ctx, e)
}

// replay handles the kept events as if they came at this moment.
func (st *stream) replay(ctx context.Context, xa *xaTransaction) error {
	for _, e := range xa.events {
		if err := st.event(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// from is where a MariaDB server is read on for all of them to come again, nil when there are none.
func (p *prepared) from() *binlog.MariaPos {
	if len(p.all) == 0 {
		return nil
	}
	return p.all[0].before
}

func (p *prepared) take(xid binlog.XID) *xaTransaction {
	for i, xa := range p.all {
		if xa.xid.Equal(xid) {
			p.all = append(p.all[:i], p.all[i+1:]...)
			p.bytes -= xa.bytes
			return xa
		}
	}
	return nil
}
