//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/duckdb/duckdb-go/v2"
)

// duck is one DuckDB in memory with one connection. It is for one goroutine.
type duck struct {
	connector *duckdb.Connector
	conn      *duckdb.Conn
	arrow     *duckdb.Arrow
	clock     time.Time // what its functions say the time is
}

// DefaultMemoryBytes is what DuckDB may hold in memory.
const DefaultMemoryBytes = 1 << 30

// maxTempBytes bounds what a query may put on disk.
const maxTempBytes = 64 << 30

// openDuck opens DuckDB and takes everything from it that a query does not need. What a text may do is decided before DuckDB sees
// it; the settings are the second fence, and once they are locked nothing opens it again.
func openDuck(ctx context.Context, memoryBytes int64, threads int, tempDir string) (*duck, error) {
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, fmt.Errorf("open duckdb: %w", err)
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to duckdb: %w", err), connector.Close())
	}
	d := &duck{connector: connector, conn: conn.(*duckdb.Conn)}
	if d.arrow, err = duckdb.NewArrowFromConn(conn); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to duckdb: %w", err), d.close())
	}
	if memoryBytes == 0 {
		memoryBytes = DefaultMemoryBytes
	}
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	settings := []string{
		"memory_limit='" + strconv.FormatInt(memoryBytes, 10) + "B'",
		"threads=" + strconv.Itoa(threads),
		"temp_directory=" + quoteText(tempDir),
		"max_temp_directory_size='" + strconv.Itoa(maxTempBytes) + "B'",
		"TimeZone='UTC'",
		"errors_as_json=true",
		"allow_community_extensions=false",
		"allow_unredacted_secrets=false",
		"autoinstall_known_extensions=false",
		"autoload_known_extensions=false",
		"enable_external_access=false",
		"lock_configuration=true",
	}
	for _, s := range settings {
		if err := d.exec(ctx, "SET "+s); err != nil {
			return nil, errors.Join(fmt.Errorf("set %s: %w", s, err), d.close())
		}
	}
	return d, nil
}

func (d *duck) close() error { return errors.Join(d.conn.Close(), d.connector.Close()) }

// exec runs a statement of ours.
func (d *duck) exec(ctx context.Context, text string) error {
	_, err := d.conn.ExecContext(ctx, text, nil)
	return err
}

// insert copies a batch into a table whose columns are those of the batch in the same order.
func (d *duck) insert(ctx context.Context, table string, batch arrow.RecordBatch) error {
	reader, err := array.NewRecordReader(batch.Schema(), []arrow.RecordBatch{batch})
	if err != nil {
		return err
	}
	defer reader.Release()
	release, err := d.arrow.RegisterView(reader, streamView)
	if err != nil {
		return err
	}
	defer release()
	return d.exec(ctx, "INSERT INTO "+quoteIdent(table)+" SELECT * FROM "+quoteIdent(streamView))
}

// strings runs a statement of ours and returns its rows, all of whose columns must be text.
func (d *duck) strings(ctx context.Context, text string, args ...driver.NamedValue) (rows [][]string, err error) {
	r, err := d.conn.QueryContext(ctx, text, args)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	values := make([]driver.Value, len(r.Columns()))
	for {
		if err := r.Next(values); errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return nil, err
		}
		row := make([]string, len(values))
		for i := range values {
			row[i], _ = values[i].(string)
		}
		rows = append(rows, row)
	}
}

// parse is DuckDB's tree of the text, which must be one query. An error has its place in text.
func (d *duck) parse(ctx context.Context, text string) ([]byte, *duckError) {
	rows, err := d.strings(ctx, "SELECT json_serialize_sql($1::VARCHAR)::VARCHAR", driver.NamedValue{Ordinal: 1, Value: text})
	if err != nil {
		return nil, asDuckError(err)
	}
	var s serialized
	if err := json.Unmarshal(finiteJSON(rows[0][0]), &s); err != nil {
		return nil, &duckError{Message: "read the parsed query: " + err.Error(), kind: CodeInternal}
	}
	if s.Error {
		e := &duckError{Message: s.Message, at: -1, kind: CodeSQL}
		if at, err := strconv.Atoi(strings.Trim(string(s.Position), `"`)); err == nil {
			e.at = at
		}
		return nil, e
	}
	if len(s.Statements) != 1 {
		return nil, &duckError{Message: "expected one statement", at: -1, kind: CodeSQL}
	}
	return s.Statements[0], nil
}

// jsonToken is a string of JSON, or what DuckDB writes for a number such as 1e400, which JSON has no word for.
var jsonToken = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|-?(?i:\binf(?:inity)?\b|\bnan\b)`)

// finiteJSON has null for the numbers that are not finite: nobody reads them in a tree.
func finiteJSON(text string) []byte {
	return jsonToken.ReplaceAllFunc([]byte(text), func(token []byte) []byte {
		if token[0] == '"' {
			return token
		}
		return []byte("null")
	})
}

// names prepares a query, which finds whatever is wrong with it, and returns the names of its columns.
func (d *duck) names(ctx context.Context, text string) (names []string, err error) {
	prepared, err := d.conn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, prepared.Close()) }()
	s := prepared.(*duckdb.Stmt)
	if s.NumInput() > 0 {
		return nil, &duckError{Message: "parameters are not known here; write their values", at: -1, kind: CodeSQL}
	}
	n, err := s.ColumnCount()
	if err != nil {
		return nil, err
	}
	for i := range n {
		name, err := s.ColumnName(i)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// describeBefore stands before a query whose types are asked for.
const describeBefore = "DESCRIBE SELECT * FROM (\n"

// types are the types of a query's columns, in DuckDB's words.
func (d *duck) types(ctx context.Context, text string) ([]string, error) {
	rows, err := d.strings(ctx, describeBefore+text+"\n)")
	if err != nil {
		return nil, err
	}
	types := make([]string, len(rows))
	for i, r := range rows {
		types[i] = r[1]
	}
	return types, nil
}

// duckError is what DuckDB says about a query.
type duckError struct {
	Type     string `json:"exception_type"`
	Message  string `json:"exception_message"`
	Position string `json:"position"`
	Subtype  string `json:"error_subtype"`
	at       int    // in the text that DuckDB was given, -1 when it does not say
	kind     Code
}

func (e *duckError) Error() string { return e.Message }

// asDuckError reads an error of DuckDB's, which is JSON behind whatever the driver puts before it.
func asDuckError(err error) *duckError {
	var known *duckError
	if errors.As(err, &known) {
		return known
	}
	e := &duckError{Message: err.Error(), at: -1, kind: CodeInternal}
	text := err.Error()
	if i := strings.IndexByte(text, '{'); i >= 0 && json.Unmarshal([]byte(text[i:]), e) == nil {
		e.kind = CodeSQL
	}
	if at, err := strconv.Atoi(e.Position); err == nil {
		e.at = at
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), strings.EqualFold(e.Type, "INTERRUPT"):
		e.kind = CodeCanceled
	case e.Type == "Out of Memory":
		e.kind = CodeLimit
	case e.Type == "INTERNAL", e.Type == "FATAL":
		e.kind = CodeInternal
	}
	return e
}

// quoteText writes a text as a string of SQL.
func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
