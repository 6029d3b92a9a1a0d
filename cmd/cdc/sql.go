package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
	"cdc/materialize"
	"cdc/materialize/sql"
	"cdc/schema"
)

// sqlCmd answers SQL over the tables, at any moment.
type sqlCmd struct {
	rowFlags
	waitFlags
	AsOf  string `name:"as-of" placeholder:"MOMENT" help:"The moment of the tables that name none; now by default."`
	Query string `arg:"" optional:"" help:"The query. Without one a prompt opens, or the standard input is read when it is no terminal."`
}

// Help describes the verb with examples.
func (sqlCmd) Help() string {
	return `Tables are named name, schema.name or source.schema.name, each at its own moment if need be.

Examples:

	cdc sql 'select status, count(*) from orders group by 1'
	cdc sql --as-of '20 seconds ago' 'select sum(total) from orders'
	cdc sql "select * from orders as of 'LSN 0/16B3600' where id = 7"
	cdc sql --format parquet 'select * from orders' > orders.parquet
	cdc sql < report.sql`
}

// Run answers one query, a script, or a person.
func (c *sqlCmd) Run(ctx context.Context, a *App) (err error) {
	if c.AsOf != "" {
		if _, err := materialize.ParseMoment(c.AsOf); err != nil {
			return err
		}
	}
	s, err := openSQL(ctx, a, &c.waitFlags)
	if err != nil {
		return err
	}
	defer closing(s, &err)
	s.asOf = c.AsOf
	if c.Query == "" && isTerminalReader(a.Stdin) && a.Terminal {
		return s.prompt(ctx, &c.rowFlags)
	}
	out, err := c.rowFlags.open(a)
	if err != nil {
		return err
	}
	if c.Query != "" {
		return out.close(s.answer(ctx, &out.Output, c.Query))
	}
	return out.close(s.script(ctx, &out.Output))
}

// isTerminalReader reports whether a person types the input.
func isTerminalReader(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && isTerminal(f)
}

// sqlSession asks a worker, which it starts when there is none.
type sqlSession struct {
	app    *App
	wait   *waitFlags
	live   *client.Client // nil when nobody writes the log
	worker *sql.Worker
	// asOf is the moment of the questions to come, set what the last text that set one has set.
	asOf, set string
	part      func(float64)
}

func openSQL(ctx context.Context, a *App, wait *waitFlags) (*sqlSession, error) {
	if !sql.Built {
		return nil, &exit.Error{
			Code: exit.Build, What: sql.ErrNoSQL.Error(), Err: sql.ErrNoSQL,
			Remedy: "use 'cdc at', 'cdc diff' and 'cdc history', which need no SQL, or a build with cgo ('make build')",
		}
	}
	if err := a.requireLog(); err != nil {
		return nil, err
	}
	live, err := a.Live(ctx)
	return &sqlSession{app: a, wait: wait, live: live}, err
}

// Close ends the worker.
func (s *sqlSession) Close() error {
	if s.live != nil {
		s.live.Close()
	}
	if s.worker == nil {
		return nil
	}
	return s.worker.Close()
}

// start starts the worker. It is this very program, and is given nothing of the environment that could be a secret.
func (s *sqlSession) start(ctx context.Context) error {
	if s.worker != nil {
		return nil
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	s.worker, err = sql.Start(ctx, sql.StartOptions{
		Exe: exe, Args: []string{"sqlworker", "--data", s.app.Data}, Env: sql.Environ(), Logger: s.app.Logger,
		Progress: func(part float64) {
			if s.part != nil {
				s.part(part)
			}
		},
	})
	return sqlError(err)
}

// ask asks the worker and gives the answer to take.
func (s *sqlSession) ask(ctx context.Context, text string, take func(*sql.Rows) error) (err error) {
	if err := s.start(ctx); err != nil {
		return err
	}
	q := sql.Question{SQL: text, AsOf: s.asOf, Wait: s.wait.Wait}
	if s.wait.Wait <= 0 {
		q.Wait = -1
	}
	if s.live != nil {
		// A writer that has ended meanwhile leaves the log as it is.
		if next, err := s.live.Durable(ctx, 0); err == nil {
			q.Durable = next
		}
	}
	part, done := s.app.progress("read log")
	s.part = part
	defer func() { done(); s.part = nil }()
	rows, err := s.worker.Query(ctx, q)
	if err == nil {
		done()
		err = errors.Join(take(rows), rows.Close())
	}
	var e *sql.Error
	if errors.As(err, &e) && e.Code == sql.CodeWorker {
		_ = s.worker.Close() // it is dead; the next question starts another
		s.worker, s.set = nil, ""
	}
	return sqlError(err)
}

// answer prints the answer to one text.
func (s *sqlSession) answer(ctx context.Context, out *present.Output, text string) error {
	began := time.Now()
	return s.ask(ctx, text, func(rows *sql.Rows) error {
		header := rows.Header()
		if header.AsOf != s.set {
			s.set, s.asOf = header.AsOf, header.AsOf
		}
		if len(header.Columns) == 0 {
			return nil
		}
		n, err := printAnswer(out, rows)
		if err != nil {
			return err
		}
		return answerFooter(out, header, n, began)
	})
}

func printAnswer(out *present.Output, rows *sql.Rows) (int, error) {
	shape := &schema.Table{Columns: rows.Header().Columns}
	if err := shape.Prepare(); err != nil {
		return 0, err
	}
	printer, err := out.Printer(shape)
	if err != nil {
		return 0, err
	}
	for n := 0; ; n++ {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return n, printer.Close()
		}
		if err == nil {
			err = printer.Print(row)
		}
		if err != nil {
			return n, err
		}
	}
}

// answerFooter says how many rows there are and of when they are.
func answerFooter(out *present.Output, h *sql.Header, rows int, began time.Time) error {
	text := "(" + counted(rows, "row") + ")"
	if len(h.Moments) == 1 {
		text += " " + answerMoment(h.Moments[0])
	}
	if err := out.Footer("%s, %s", text, elapsed(began)); err != nil {
		return err
	}
	if len(h.Moments) > 1 {
		for _, m := range h.Moments {
			if err := out.Note("%s", answerMoment(m)); err != nil {
				return err
			}
		}
	}
	for _, m := range h.Moments {
		if err := completeness(out, m); err != nil {
			return err
		}
	}
	for _, note := range h.Notes {
		if err := out.Note("note: %s", note); err != nil {
			return err
		}
	}
	return nil
}

func answerMoment(m materialize.Resolved) string {
	if len(m.Sources) == 1 {
		return asOf(m, m.Sources[0].Source.ID)
	}
	return "as of " + diffMoment(m)
}

// maxScriptBytes bounds a script.
const maxScriptBytes = 64 << 20

// script answers the queries of the standard input, one after another, up to the first that fails.
func (s *sqlSession) script(ctx context.Context, out *present.Output) error {
	text, err := io.ReadAll(io.LimitReader(s.app.Stdin, maxScriptBytes))
	if err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	rest, answered := string(text), false
	for {
		statement, after, _ := sql.CutStatement(rest)
		rest = after
		if !sql.Blank(statement) {
			if err := s.answer(ctx, out, statement); err != nil {
				return err
			}
			answered = true
		}
		if rest == "" {
			break
		}
	}
	if !answered {
		return &exit.Error{Code: exit.Usage, What: "there is no query", Remedy: "give one as an argument or on the standard input; on a terminal a prompt opens"}
	}
	return nil
}

// sqlError gives an error of the worker its exit code.
func sqlError(err error) error {
	var e *sql.Error
	if errors.Is(err, sql.ErrNoSQL) {
		return &exit.Error{Code: exit.Build, What: err.Error(), Remedy: "use a build with cgo ('make build')", Err: err}
	}
	if !errors.As(err, &e) {
		return err
	}
	known := &exit.Error{Code: exit.Bug, What: e.Message, Remedy: e.Remedy, Err: err}
	if e.Line != 0 {
		known.Where = fmt.Sprintf("line %d:%d", e.Line, e.Col)
	}
	switch e.Code {
	case sql.CodeSQL, sql.CodeLimit:
		known.Code = exit.Usage
	case sql.CodeMoment:
		known.Code = exit.Moment
	case sql.CodeLog:
		known.Code = exit.Log
	case sql.CodeCanceled:
		known.Code, known.What = exit.Interrupted, "the query was canceled"
	case sql.CodeWorker, sql.CodeInternal:
	}
	return known
}
