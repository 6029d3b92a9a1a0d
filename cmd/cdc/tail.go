package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
	"cdc/materialize"
	"cdc/schema"
	"cdc/sources"
)

// tailCmd follows the log, or a database without one.
type tailCmd struct {
	rowFlags
	waitFlags
	serverFlags
	Since       string   `placeholder:"MOMENT" help:"Begin after this moment; by default with what comes next."`
	Count       int      `short:"n" placeholder:"N" help:"Leave after so many changes."`
	Tables      []string `sep:"none" placeholder:"PATTERN" help:"Of a database: only tables that match; may be repeated."`
	Publication string   `placeholder:"NAME" help:"Of a database: the publication to use, for a role that may not make one."`
	From        string   `arg:"" optional:"" name:"table" complete:"tables" help:"Only changes of this table; or a DSN, to follow a database directly."`
	Where       []string `arg:"" optional:"" placeholder:"COLUMN=VALUE" help:"Only changes whose old or new row matches."`
}

// Help describes the verb with examples.
func (tailCmd) Help() string {
	return `Follows the log until it is interrupted: lines on a terminal, one JSON object a line otherwise.

With a DSN it follows the database itself, through a temporary slot (PostgreSQL) or as a replica does (MySQL, MariaDB): nothing is kept, what happens while it does not run is not seen, and columns that the server does not send are left out.

Examples:

	cdc tail
	cdc tail orders --since '1 minute ago'
	cdc tail orders 'status=paid'
	cdc tail postgres://cdc@db.example/shop --tables 'public.*'`
}

// errEnough ends a tail that has shown as many changes as were asked for.
var errEnough = errors.New("enough changes")

// Run follows until the context is done.
func (c *tailCmd) Run(ctx context.Context, a *App) (err error) {
	if a.Format == string(present.CSV) && !a.formatAsked() {
		a.Format = string(present.JSON) // a stream has no header
	}
	out, err := c.rowFlags.open(a)
	if err != nil {
		return err
	}
	t, err := newTailer(&out.Output, c.Count)
	if err != nil {
		return err
	}
	if config.DSN(c.From).Kind() != "" {
		err = c.database(ctx, a, t)
	} else {
		err = c.log(ctx, a, t)
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out.close(errors.Join(err, t.close()))
}

// formatAsked reports whether somebody has chosen the format.
func (a *App) formatAsked() bool {
	_, flag := a.Given["format"]
	_, variable := a.LookupEnv("CDC_FORMAT")
	return flag || variable
}

// log follows the log.
func (c *tailCmd) log(ctx context.Context, a *App, t *tailer) (err error) {
	if len(c.Tables) > 0 || c.Publication != "" {
		return &exit.Error{Code: exit.Usage, What: "--tables and --publication go with a DSN", Remedy: "name a table of the log as an argument"}
	}
	log, err := a.OpenLog(ctx)
	if err != nil {
		return err
	}
	defer closing(log, &err)
	t.placed(unitPositions(log))
	now := log.Bounds().Next
	o := materialize.ChangesOptions{Follow: true, From: now}
	if c.Since != "" {
		since, err := c.resolve(ctx, log, c.Since, c.From)
		if err != nil {
			return err
		}
		o.From = since.Cut.Min() + 1
		o.Within = func(u *changelog.UnitMeta) bool { return u.Commit() > since.Cut.At(u.Source) }
	}
	only, err := onlyTable(ctx, log, c.From, c.Where, changelog.Cut{Default: now - 1})
	if err != nil {
		return err
	}
	o.Tables, o.Where = only.tables, only.where
	if log.Live == nil {
		if err := t.out.Note("note: nobody captures into this log at the moment"); err != nil {
			return err
		}
	}
	return materialize.Changes(ctx, log, o, t.change)
}

// database follows a database without a log.
func (c *tailCmd) database(ctx context.Context, a *App, t *tailer) error {
	if c.Since != "" || len(c.Where) > 0 {
		return &exit.Error{Code: exit.Usage, What: "a database has no past to begin from and takes no conditions", Remedy: "capture it with 'cdc run' and tail the log"}
	}
	specs, err := c.servers(a, c.From)
	if err != nil {
		return err
	}
	spec := specs[0]
	if err := publicationFor(&spec, c.Publication); err != nil {
		return err
	}
	spec.Tables = c.Tables
	source, err := openDatabase(spec, nil, [16]byte{}, a.Logger)
	if err != nil {
		return err
	}
	t.placed(func(u *changelog.UnitMeta) string { return positionText(spec.DSN.Kind(), u.Position) })
	if _, err := fmt.Fprintf(a.Stderr, "tailing %s %s: nothing is kept, and what happens while this does not run is not seen\n", spec.DSN, tailMeans(spec.DSN.Kind())); err != nil {
		return err
	}
	direct := &directTail{t: t}
	err = source.Tail(ctx, direct)
	if direct.failed != nil {
		return direct.failed
	}
	return reached(ctx, &spec, err)
}

// tailer prints changes as they come.
type tailer struct {
	describer
	out      *present.Output
	list     *changeList // nil for people
	position func(*changelog.UnitMeta) string
	left     int // changes still wanted; negative: all
	count    int
}

func newTailer(out *present.Output, count int) (*tailer, error) {
	t := &tailer{describer: describer{style: out.Style}, out: out, left: -1}
	if count > 0 {
		t.left = count
	}
	if out.Human() {
		return t, nil
	}
	var err error
	t.list, err = newChangeList(out, nil)
	return t, err
}

// placed says how the positions of units are written.
func (t *tailer) placed(position func(*changelog.UnitMeta) string) {
	t.position = position
	if t.list != nil {
		t.list.position = position
	}
}

func (t *tailer) close() error {
	if t.list == nil {
		return nil
	}
	return t.list.record.Close()
}

// change prints a change and lets it be seen at once.
func (t *tailer) change(c *materialize.ChangeRow) error {
	if t.list == nil {
		if _, err := io.WriteString(t.out.Out, t.line(c)+"\n"); err != nil {
			return err
		}
	} else if err := errors.Join(t.list.print(c, schema.Row{}), t.list.record.Flush()); err != nil {
		return err
	}
	t.count++
	if t.left > 0 && t.count >= t.left {
		return errEnough
	}
	return nil
}

// Widths of a line's parts, so that lines below each other can be compared.
const (
	tailPositionColumns = 11
	tailPositionMost    = 20
	tailTableColumns    = 14
	tailKeyColumns      = 12
	tailTextColumns     = 46
)

// line is a change for people: when, where, what, and in which transaction.
func (t *tailer) line(c *materialize.ChangeRow) string {
	var table, key string
	if c.Table != nil {
		table = shortName(c.Table)
		if c.Op != changelog.OpTruncate {
			key = t.key(c.Table, rowOf(&c.Change))
		}
	}
	head := fmt.Sprintf("%s %s ", c.Unit.CommitTime.Time().Format("15:04:05.000"), padded(endOf(t.position(c.Unit), tailPositionMost), tailPositionColumns))
	tx := "tx " + txText(c.Unit.XID)
	key = padded(key, tailKeyColumns)
	text := t.fitted(c, tailTextColumns, utf8.RuneCountInString(head+key+tx)+tailTableColumns+len("c    "))
	return head + t.letter(c.Op) + " " + padded(table, tailTableColumns) + " " + t.style.Bold(key) + " " + text + " " + t.style.Dim(tx)
}

// fitted is what a change did, padded, or cut where the line would not fit the terminal beside what else it holds.
func (t *tailer) fitted(c *materialize.ChangeRow, columns, beside int) string {
	plain := describer{}.summary(&c.Change, schema.Row{})
	width := utf8.RuneCountInString(plain)
	if t.out.Terminal && t.out.Width > 0 && width+beside > t.out.Width {
		return present.Shorten(plain, max(t.out.Width-beside, len("…")))
	}
	return t.summary(&c.Change, schema.Row{}) + strings.Repeat(" ", max(columns-width, 0))
}

// padded is text with blanks behind it up to a width.
func padded(text string, columns int) string {
	if missing := columns - utf8.RuneCountInString(text); missing > 0 {
		return text + strings.Repeat(" ", missing)
	}
	return text
}

// endOf is the text, or its end where it is longer: of a set of GTIDs, what counts on.
func endOf(text string, columns int) string {
	runes := []rune(text)
	if len(runes) <= columns {
		return text
	}
	return "…" + string(runes[len(runes)-columns+1:])
}

// maxDirectChanges is how many changes of one transaction are held until it commits; what comes after them is shown at once,
// without the number of the transaction, which the server tells last.
const maxDirectChanges = 10_000

// directTail takes the stream of a database.
type directTail struct {
	t      *tailer
	held   []materialize.ChangeRow
	early  int
	failed error // of printing, which is not the server's
}

// Change implements sources.TailOutput.
func (d *directTail) Change(c *changelog.Change) error {
	row := materialize.ChangeRow{Change: *c, Unit: &changelog.UnitMeta{Kind: changelog.UnitTx, Count: 1}}
	if len(d.held) < maxDirectChanges && d.early == 0 {
		d.held = append(d.held, keepChange(&row))
		return nil
	}
	if err := d.print(changelog.UnitMeta{}); err != nil {
		return err
	}
	d.early++
	return d.keep(d.t.change(&row))
}

// Commit implements sources.TailOutput.
func (d *directTail) Commit(c sources.Commit) error {
	d.early = 0
	return d.print(changelog.UnitMeta{XID: c.XID, CommitTime: c.Time, Position: c.Position})
}

// print prints what has been held, as of a transaction.
func (d *directTail) print(unit changelog.UnitMeta) error {
	unit.Kind, unit.Count = changelog.UnitTx, 1
	held := d.held
	d.held = d.held[:0]
	for i := range held {
		held[i].Unit = &unit
		if err := d.t.change(&held[i]); err != nil {
			return d.keep(err)
		}
	}
	return nil
}

func (d *directTail) keep(err error) error {
	if err != nil {
		d.failed = err
	}
	return err
}
