//go:build e2e

package workload

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"cdc/e2e/checker"
)

// postgresSession is a client's connection to PostgreSQL.
type postgresSession struct {
	client *client
	conn   *pgx.Conn
	gid    string // of the transaction
}

func openPostgres(ctx context.Context, c *client) (session, error) {
	conn, err := pgx.Connect(ctx, c.w.o.DSN)
	if err != nil {
		return nil, err
	}
	s := &postgresSession{client: c, conn: conn}
	if err := s.endPrepared(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *postgresSession) endPrepared(ctx context.Context) error {
	rows, err := s.conn.Query(ctx, `SELECT gid FROM pg_prepared_xacts WHERE database = current_database() AND gid LIKE $1`,
		fmt.Sprintf("e2e-%d-%%", s.client.number))
	if err != nil {
		return err
	}
	gids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, gid := range gids {
		if err := s.exec(ctx, "COMMIT PREPARED '"+gid+"'"); err != nil {
			return err
		}
	}
	return nil
}

func (s *postgresSession) exec(ctx context.Context, sql string) error {
	_, err := s.conn.Exec(ctx, sql)
	return err
}

func (s *postgresSession) begin(ctx context.Context, _ work, o checker.Outcome, _ ending) error {
	s.gid = fmt.Sprintf("e2e-%d-%d", o.Client, o.Seq)
	return s.exec(ctx, "BEGIN")
}

func (s *postgresSession) act(ctx context.Context, w work, o checker.Outcome) error {
	t := &tx{client: s.client, conn: s.conn, random: s.client.random}
	var err error
	switch w.action {
	case actAny:
		err = draw(weighted, t.random)(t, ctx)
	case actTruncate:
		err = t.truncate(ctx)
	case actAlter:
		err = t.alter(ctx)
	case actBulk:
		err = t.bulk(ctx, w.rows)
	}
	if err != nil {
		return err
	}
	return t.writeLedger(ctx, o)
}

func (s *postgresSession) commit(ctx context.Context) error   { return s.exec(ctx, "COMMIT") }
func (s *postgresSession) rollback(ctx context.Context) error { return s.exec(ctx, "ROLLBACK") }

func (s *postgresSession) prepare(ctx context.Context) error {
	return s.exec(ctx, "PREPARE TRANSACTION '"+s.gid+"'")
}

func (s *postgresSession) commitPrepared(ctx context.Context) error {
	return s.exec(ctx, "COMMIT PREPARED '"+s.gid+"'")
}

func (s *postgresSession) rollbackPrepared(ctx context.Context) error {
	return s.exec(ctx, "ROLLBACK PREPARED '"+s.gid+"'")
}

func (s *postgresSession) contention(err error) bool {
	var server interface{ SQLState() string }
	if !errors.As(err, &server) {
		return true // the connection
	}
	switch state := server.SQLState(); state[:2] {
	case "40", "08", "57": // deadlock, serialization; connection; shutdown
		return true
	case "23": // two clients chose one key, or a parent has gone
		return true
	default:
		return state == "53300" // too many connections
	}
}

func (s *postgresSession) lost() bool { return s.conn.IsClosed() }

func (s *postgresSession) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	_ = s.conn.Close(ctx) // nothing is left to do with it
}
