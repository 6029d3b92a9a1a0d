package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// quoteName and quoteText write a name and a text as SQL.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteText(text string) string {
	quoted := `'` + strings.ReplaceAll(text, `'`, `''`) + `'`
	if strings.Contains(text, `\`) {
		return `E` + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// quoteTable is schema.table as SQL.
func quoteTable(schema, table string) string { return quoteName(schema) + "." + quoteName(table) }

// field is one value of a query's answer, as text; null has no bytes.
type field []byte

func (f field) text() string { return string(f) }
func (f field) bool() bool   { return string(f) == "t" }

// int is the value as an integer, 0 when it is null. Only columns that the server prints as integers are read with it.
func (f field) int() int64 {
	v, err := strconv.ParseInt(string(f), 10, 64)
	if err != nil {
		return 0
	}
	return v
}

func (f field) float() float64 {
	v, err := strconv.ParseFloat(string(f), 64)
	if err != nil {
		return 0
	}
	return v
}

// lsn is the value as an LSN, 0 when it is null.
func (f field) lsn() LSN {
	l, err := ParseLSN(string(f))
	if err != nil {
		return 0
	}
	return l
}

// row is one row of an answer.
type row []field

// session is an ordinary connection for questions to the catalogue. It is safe for concurrent use.
type session struct {
	mu   sync.Mutex // guards conn
	conn *pgconn.PgConn
}

// query runs one statement with text parameters and returns its rows.
func (s *session) query(ctx context.Context, sql string, args ...string) ([]row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, querySilence, errSilent)
	defer cancel()
	params := make([][]byte, len(args))
	for i, a := range args {
		params[i] = []byte(a)
	}
	result := s.conn.ExecParams(ctx, sql, params, nil, nil, nil).Read()
	if result.Err != nil {
		if errors.Is(context.Cause(ctx), errSilent) {
			result.Err = errSilent
		}
		return nil, fmt.Errorf("ask the catalogue: %w", result.Err)
	}
	return rowsOf(result), nil
}

// patient runs one statement that may take as long as it takes.
func (s *session) patient(ctx context.Context, sql string) ([]row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	result := s.conn.ExecParams(ctx, sql, nil, nil, nil, nil).Read()
	return rowsOf(result), result.Err
}

// querySilence bounds a question about the catalogue: the stream stands while its goroutine asks, and would not notice a server that
// is gone without a word.
const querySilence = 30 * time.Second

var errSilent = fmt.Errorf("the server has not answered for %s", querySilence)

func rowsOf(result *pgconn.Result) []row {
	rows := make([]row, len(result.Rows))
	for i, values := range result.Rows {
		rows[i] = make(row, len(values))
		for j, v := range values {
			rows[i][j] = field(v)
		}
	}
	return rows
}

// one runs a statement that answers with one row.
func (s *session) one(ctx context.Context, sql string, args ...string) (row, error) {
	rows, err := s.query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, fmt.Errorf("ask the catalogue: %d rows instead of one", len(rows))
	}
	return rows[0], nil
}

// exec runs statements without parameters.
func (s *session) exec(ctx context.Context, sql string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return execOn(ctx, s.conn, sql)
}

func (s *session) close() { closeConn(s.conn) }

// execOn runs statements on a connection of either kind.
func execOn(ctx context.Context, conn *pgconn.PgConn, sql string) error {
	_, err := conn.Exec(ctx, sql).ReadAll()
	return err
}

// command runs one walsender command that answers with rows.
func command(ctx context.Context, conn *pgconn.PgConn, sql string) ([]row, error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return nil, nil
	}
	return rowsOf(results[0]), nil
}

// closeConn closes without waiting long for the server.
func closeConn(conn *pgconn.PgConn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = conn.Close(ctx) // nothing is lost with it
}

// codeOf is the SQLSTATE of a server's error, empty for any other.
func codeOf(err error) string {
	var reply *pgconn.PgError
	if errors.As(err, &reply) {
		return reply.Code
	}
	return ""
}

// oidArray writes numbers as a Postgres array.
func oidArray(oids []uint32) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, oid := range oids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(oid), 10))
	}
	b.WriteByte('}')
	return b.String()
}
