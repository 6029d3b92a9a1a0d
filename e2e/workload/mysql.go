//go:build e2e

package workload

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/e2e/checker"
	"cdc/e2e/testservers"
)

// isMySQL tells the DSNs of MySQL and MariaDB from others.
func isMySQL(dsn string) bool {
	return strings.HasPrefix(dsn, string(testservers.FlavourMySQL)+"://") || isMariaDB(dsn)
}

func isMariaDB(dsn string) bool {
	return strings.HasPrefix(dsn, string(testservers.FlavourMariaDB)+"://")
}

// connectMySQL opens a connection with settings under which clients neither
// wait for long nor are held to what their values look like.
func connectMySQL(ctx context.Context, dsn string) (*testservers.MySQLSession, error) {
	flavour := testservers.FlavourMySQL
	if isMariaDB(dsn) {
		flavour = testservers.FlavourMariaDB
	}
	server, err := testservers.ExternalMySQL(flavour, dsn)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, err
	}
	conn, err := server.Open(ctx, u.User.Username(), strings.TrimPrefix(u.Path, "/"))
	if err != nil {
		return nil, err
	}
	// Partial and zero dates are data.
	_, err = conn.SQL(ctx, "SET SESSION sql_mode = '', innodb_lock_wait_timeout = 5, lock_wait_timeout = 10, time_zone = '+00:00'")
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// mysqlSession is a client's connection to MySQL or MariaDB.
type mysqlSession struct {
	client   *client
	conn     *testservers.MySQLSession
	database string
	broken   bool
	// xid names the transaction when it is one of two phases. Its name begins with the database's: all of a server share
	// them, and the end of a test rolls back what it left.
	xid string
	// state is how far the transaction of two phases has come.
	state xaState
}

// xaState is what a session has done about its XA transaction.
type xaState int

const (
	xaNone xaState = iota
	xaActive
	xaPrepared
)

func openMySQL(ctx context.Context, c *client) (session, error) {
	conn, err := connectMySQL(ctx, c.w.o.DSN)
	if err != nil {
		return nil, err
	}
	s := &mysqlSession{client: c, conn: conn}
	if s.database, err = conn.SQL(ctx, "SELECT database()"); err == nil {
		err = s.endPrepared(ctx)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// endPrepared commits what the client's last connection left.
func (s *mysqlSession) endPrepared(ctx context.Context) error {
	prepared, err := s.conn.SQL(ctx, "XA RECOVER")
	if err != nil {
		return err
	}
	mine := fmt.Sprintf("%s-%d-", s.database, s.client.number)
	for line := range strings.Lines(prepared) {
		// format|length of the global part|length of the branch|both
		fields := strings.SplitN(strings.TrimSpace(line), "|", 4)
		if len(fields) < 4 || !strings.HasPrefix(fields[3], mine) {
			continue
		}
		if err := s.exec(ctx, "XA COMMIT '"+fields[3]+"'"); err != nil {
			return err
		}
	}
	return nil
}

func (s *mysqlSession) exec(ctx context.Context, sql string) error {
	_, err := s.conn.SQL(ctx, sql)
	var server *mysql.MyError
	if err != nil && !errors.As(err, &server) {
		s.broken = true
	}
	return err
}

// begin opens the transaction. Statements that end one come before it.
func (s *mysqlSession) begin(ctx context.Context, w work, o checker.Outcome, end ending) error {
	t := s.tx()
	switch w.action {
	case actAlter:
		if err := t.alter(ctx); err != nil {
			return err
		}
	case actTruncate:
		if s.client.number == 0 { // two would get in each other's way
			if err := t.define(ctx); err != nil {
				return err
			}
		}
	case actAny:
		// Their changes count at once, whatever becomes of a transaction.
		if s.client.random.IntN(12) == 0 && !s.client.w.o.Transacted {
			if err := t.untransacted(ctx); err != nil {
				return err
			}
		}
	case actBulk:
	}
	if !end.twoPhase() {
		return s.exec(ctx, "START TRANSACTION")
	}
	s.xid = fmt.Sprintf("'%s-%d-%d'", s.database, o.Client, o.Seq)
	err := s.exec(ctx, "XA START "+s.xid)
	if err == nil {
		s.state = xaActive
	}
	return err
}

func (s *mysqlSession) tx() *mysqlTx {
	return &mysqlTx{session: s, random: s.client.random}
}

func (s *mysqlSession) act(ctx context.Context, w work, o checker.Outcome) error {
	t := s.tx()
	var err error
	switch w.action {
	case actAny:
		err = draw(mysqlWeighted, t.random)(t, ctx)
	case actTruncate:
		err = t.empty(ctx)
	case actAlter:
		err = t.evolve(ctx)
	case actBulk:
		err = t.bulk(ctx, w.rows)
	}
	if err != nil {
		return err
	}
	return t.writeLedger(ctx, o)
}

func (s *mysqlSession) commit(ctx context.Context) error { return s.exec(ctx, "COMMIT") }

func (s *mysqlSession) rollback(ctx context.Context) error {
	switch s.state {
	case xaActive:
		// The end fails when the server has ended it already, for a deadlock.
		if err := s.exec(ctx, "XA END "+s.xid); err != nil && s.broken {
			return err
		}
		fallthrough
	case xaPrepared:
		return s.decide(ctx, "XA ROLLBACK ")
	}
	return s.exec(ctx, "ROLLBACK")
}

// preparedLongest is how long a transaction stays prepared, while others commit.
const preparedLongest = 30 * time.Millisecond

func (s *mysqlSession) prepare(ctx context.Context) error {
	if err := s.exec(ctx, "XA END "+s.xid); err != nil {
		return err
	}
	if err := s.exec(ctx, "XA PREPARE "+s.xid); err != nil {
		return err
	}
	s.state = xaPrepared
	return wait(ctx, time.Duration(s.client.random.Int64N(int64(preparedLongest))))
}

func (s *mysqlSession) commitPrepared(ctx context.Context) error { return s.decide(ctx, "XA COMMIT ") }

func (s *mysqlSession) rollbackPrepared(ctx context.Context) error {
	return s.decide(ctx, "XA ROLLBACK ")
}

func (s *mysqlSession) decide(ctx context.Context, verb string) error {
	err := s.exec(ctx, verb+s.xid)
	if err == nil {
		s.state = xaNone
	}
	return err
}

// Errors of the server that a busy database explains, or one that goes away.
var mysqlContention = map[uint16]bool{
	mysql.ER_CON_COUNT_ERROR: true, mysql.ER_SERVER_SHUTDOWN: true, mysql.ER_NORMAL_SHUTDOWN: true, mysql.ER_QUERY_INTERRUPTED: true,
	mysql.ER_LOCK_WAIT_TIMEOUT: true, mysql.ER_LOCK_DEADLOCK: true, mysql.ER_XA_RBROLLBACK: true, mysql.ER_XA_RBDEADLOCK: true, mysql.ER_XA_RBTIMEOUT: true,
	mysql.ER_OPTION_PREVENTS_STATEMENT: true,                                                                         // a server that was made read-only
	mysql.ER_DUP_ENTRY:                 true, mysql.ER_NO_REFERENCED_ROW_2: true, mysql.ER_ROW_IS_REFERENCED_2: true, // two clients chose one key, or a parent has gone
	mysql.ER_TABLE_DEF_CHANGED: true,
	1020:                       true, // MariaDB: the row has changed since the snapshot
}

func (s *mysqlSession) contention(err error) bool {
	var server *mysql.MyError
	return !errors.As(err, &server) || mysqlContention[server.Code]
}

func (s *mysqlSession) lost() bool { return s.broken }

func (s *mysqlSession) close() { s.conn.Close() }

// numbers are the rows of a query whose columns are all integers.
func (s *mysqlSession) numbers(ctx context.Context, query string) ([][]int64, error) {
	out, err := s.conn.SQL(ctx, query)
	var server *mysql.MyError
	if err != nil {
		s.broken = s.broken || !errors.As(err, &server)
		return nil, err
	}
	var all [][]int64
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		row := make([]int64, len(fields))
		for i, field := range fields {
			if row[i], err = strconv.ParseInt(field, 10, 64); err != nil {
				return nil, fmt.Errorf("read %q: %w", query, err)
			}
		}
		all = append(all, row)
	}
	return all, nil
}
