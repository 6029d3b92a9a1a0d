package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"

	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
	"cdc/materialize"
	"cdc/materialize/sql"
	"cdc/schema"
)

const promptHelp = `A query ends with a semicolon and may take several lines. Besides:
  \dt            list the tables
  \d TABLE       list the table's columns
  \asof MOMENT   every later query is at that moment; \asof now takes it back
  \q             leave (or Ctrl-D)`

// prompt answers a person until they leave. An interrupt ends the query under way, not the program.
func (s *sqlSession) prompt(ctx context.Context, flags *rowFlags) error {
	out, err := flags.open(s.app)
	if err != nil {
		return err
	}
	in, ok := s.app.Stdin.(*os.File)
	if !ok {
		return errors.New("the standard input is no terminal")
	}
	p := &prompter{s: s, out: &out.Output, in: in}
	p.line = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, s.app.Stdout}, "")
	if err := out.Note(`cdc SQL: end queries with ; and type \? for help`); err != nil {
		return err
	}
	return out.close(p.run(context.WithoutCancel(ctx)))
}

// prompter reads lines and answers what they ask.
type prompter struct {
	s    *sqlSession
	out  *present.Output
	in   *os.File
	line *term.Terminal
	text string // of a query that has no end yet
}

func (p *prompter) run(ctx context.Context) error {
	for {
		line, err := p.read()
		if errors.Is(err, io.EOF) {
			_, err := fmt.Fprintln(p.out.Out)
			return err
		}
		if err != nil {
			return fmt.Errorf("read line: %w", err)
		}
		if p.text == "" && strings.HasPrefix(strings.TrimSpace(line), `\`) {
			if leave := p.command(ctx, strings.TrimSpace(line)); leave {
				return nil
			}
			continue
		}
		p.text += line + "\n"
		p.statements(ctx)
	}
}

// read reads a line; the terminal is in its raw mode only meanwhile, so that an interrupt reaches a query.
func (p *prompter) read() (string, error) {
	prompt := "cdc> "
	if p.s.asOf != "" {
		prompt = "cdc@" + p.s.asOf + "> "
	}
	if p.text != "" {
		prompt = strings.Repeat(" ", max(len(prompt)-3, 0)) + "-> "
	}
	state, err := term.MakeRaw(int(p.in.Fd()))
	if err != nil {
		return "", err
	}
	p.line.SetPrompt(prompt)
	if width, height, err := term.GetSize(int(p.in.Fd())); err == nil {
		_ = p.line.SetSize(width, height) // only the look depends on it
		p.out.Width = width
	}
	line, err := p.line.ReadLine()
	return line, errors.Join(err, term.Restore(int(p.in.Fd()), state))
}

// statements answers the queries that have come to their end.
func (p *prompter) statements(ctx context.Context) {
	for {
		statement, rest, whole := sql.CutStatement(p.text)
		if !whole {
			if sql.Blank(p.text) {
				p.text = ""
			}
			return
		}
		p.text = strings.TrimLeft(rest, " \t\n")
		if !sql.Blank(statement) {
			p.try(ctx, func(ctx context.Context) error { return p.s.answer(ctx, p.out, statement) })
		}
		if p.text == "" {
			return
		}
	}
}

// try does something that an interrupt may end, and says what went wrong.
func (p *prompter) try(ctx context.Context, do func(context.Context) error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	err := do(ctx)
	if err != nil && ctx.Err() != nil {
		err = &exit.Error{Code: exit.Interrupted, What: "the query was canceled"}
	}
	exit.Print(p.s.app.Stderr, err, false)
}

// command does what a line with a backslash asks, and reports whether to leave.
func (p *prompter) command(ctx context.Context, line string) (leave bool) {
	name, argument, _ := strings.Cut(strings.TrimSuffix(line, ";"), " ")
	argument = strings.TrimSpace(argument)
	switch name {
	case `\q`, `\quit`:
		return true
	case `\?`, `\h`, `\help`:
		fmt.Fprintln(p.out.Out, promptHelp)
	case `\asof`:
		p.try(ctx, func(context.Context) error { return p.setAsOf(argument) })
	case `\dt`, `\d`:
		p.try(ctx, func(ctx context.Context) error { return p.describe(ctx, argument) })
	default:
		fmt.Fprintf(p.s.app.Stderr, "cdc: there is no command %s; \\? lists them\n", present.Clean(name))
	}
	return false
}

func (p *prompter) setAsOf(text string) error {
	text = strings.Trim(text, `'`)
	if text == "" || text == "now" {
		p.s.asOf = ""
		return nil
	}
	moment, err := materialize.ParseMoment(text)
	if err != nil {
		return err
	}
	p.s.asOf = moment.String()
	return nil
}

// describe lists the tables, or the columns of one.
func (p *prompter) describe(ctx context.Context, name string) (err error) {
	log, err := p.s.app.OpenLog(ctx)
	if err != nil {
		return err
	}
	defer closing(log, &err)
	at := p.s.asOf
	if at == "" {
		at = "now"
	}
	moment, err := p.s.wait.resolve(ctx, log, at, name)
	if err != nil {
		return err
	}
	if name == "" {
		n, err := printTables(ctx, log, p.out, moment.Cut, copiesOf(ctx, log))
		if err != nil {
			return err
		}
		return p.out.Footer("(%s) as of %s", counted(n, "table"), diffMoment(moment))
	}
	table, err := materialize.FindTable(ctx, log, name, moment.Cut)
	if err != nil {
		return err
	}
	return printColumns(p.out, table.Table)
}

var columnsShape = present.Shape(
	present.Field{Name: "column", Kind: schema.Text}, present.Field{Name: "type", Kind: schema.Text},
	present.Field{Name: "kind", Kind: schema.Text}, present.Field{Name: "null", Kind: schema.Text},
	present.Field{Name: "key", Kind: schema.Int32},
)

func printColumns(out *present.Output, t *schema.Table) error {
	if err := out.Footer("%s", present.Clean(t.FullName())); err != nil {
		return err
	}
	record, err := out.Record(columnsShape)
	if err != nil {
		return err
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		b := record.Begin()
		b.String(0, c.Name)
		b.String(1, c.SQLType)
		b.String(2, c.Kind.String())
		if c.NotNull {
			b.String(3, "not null")
		} else {
			b.String(3, "")
		}
		if c.Key > 0 {
			b.Int(4, int64(c.Key))
		} else {
			b.Null(4)
		}
		if err := record.End(); err != nil {
			return err
		}
	}
	return record.Close()
}
