package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
	"cdc/materialize"
	"cdc/schema"
)

// showCmd prints one transaction, with all that it changed.
type showCmd struct {
	rowFlags
	waitFlags
	Tx string `arg:"" name:"tx" help:"The source's number of the transaction, or a moment such as 'LSN 0/16B3A10' or 'OFFSET 18': the last transaction that it includes."`
}

// Help describes the verb with examples.
func (showCmd) Help() string {
	return `A bare number is the source's own number of the transaction: pg_current_xact_id() in Postgres, tx in the outputs of the other verbs.

Examples:

	cdc show 774
	cdc show 'OFFSET 18'
	cdc show 'LSN 0/16B3A10' --json`
}

// Run prints the transaction in the order of its statements.
func (c *showCmd) Run(ctx context.Context, a *App) (err error) {
	began := time.Now()
	log, err := a.OpenLog(ctx)
	if err != nil {
		return err
	}
	defer closing(log, &err)
	at, err := c.find(ctx, log)
	if err != nil {
		return err
	}
	out, err := c.rowFlags.open(a)
	if err != nil {
		return err
	}
	s := &shower{describer: describer{style: out.Style}, out: &out.Output, earlier: newEarlierRows(ctx, a, log, 1)}
	if s.earlier == nil { // a log of any length is worth reading for one transaction
		s.earlier = &earlierRows{ctx: ctx, app: a, log: log, rows: map[schema.TableID]map[string]earlierRow{}}
	}
	unit, err := s.show(ctx, log, at)
	if err := out.close(err); err != nil {
		return err
	}
	return out.Footer("(%s) in offsets %d to %d, %s", counted(s.changes, "change"), unit.First, unit.Commit(), elapsed(began))
}

// find is an offset of the transaction.
func (c *showCmd) find(ctx context.Context, log *Log) (changelog.Offset, error) {
	if xid, err := strconv.ParseUint(c.Tx, 10, 64); err == nil {
		unit, err := materialize.FindTx(ctx, log, "", xid)
		var name *materialize.NameError
		if errors.As(err, &name) {
			return 0, &exit.Error{
				Code: exit.Usage, What: name.Error(), Err: err,
				Remedy: "'cdc changes' lists the latest; one of an earlier source epoch, or a place in the log, is written 'OFFSET n'",
			}
		}
		return unit.Commit(), err
	}
	moment, err := c.resolve(ctx, log, c.Tx)
	if err != nil {
		return 0, err
	}
	source := changelog.SourceID(0)
	switch moment.Moment.Kind {
	case materialize.MomentOffset:
		return moment.Moment.Offset, nil // it may lie within the transaction
	case materialize.MomentLSN, materialize.MomentGTID:
		unit, err := materialize.Transaction(ctx, log, moment.Cut.Max(), nil)
		if err != nil {
			return 0, err
		}
		source = unit.Source
	default:
	}
	last, err := materialize.LastTransaction(ctx, log, moment.Cut, source)
	if err == nil && last == 0 {
		err = &exit.Error{Code: exit.Usage, What: "no transaction is in the log up to " + moment.Moment.String(), Remedy: "'cdc changes' lists the latest"}
	}
	return last, err
}

// shower prints one transaction.
type shower struct {
	describer
	out     *present.Output
	earlier *earlierRows
	list    *changeList
	held    []materialize.ChangeRow
	unit    changelog.UnitMeta
	table   *schema.Table
	changes int
	headed  bool
}

// show prints the transaction that holds the offset. It holds the first changes back to look their old rows up at once.
func (s *shower) show(ctx context.Context, log *Log, at changelog.Offset) (changelog.UnitMeta, error) {
	if !s.out.Human() {
		list, err := newChangeList(s.out, unitPositions(log))
		if err != nil {
			return s.unit, err
		}
		s.list = list
	}
	unit, err := materialize.Transaction(ctx, log, at, func(c *materialize.ChangeRow) error {
		if s.changes++; s.changes <= maxLookup {
			s.held = append(s.held, keepChange(c))
			return nil
		}
		if err := s.release(log); err != nil {
			return err
		}
		return s.print(log, c, schema.Row{})
	})
	if err == nil {
		err = s.release(log)
	}
	if err != nil {
		return unit, err
	}
	if s.changes == 0 {
		return unit, &exit.Error{Code: exit.Usage, What: fmt.Sprintf("no transaction holds offset %d", at), Remedy: "'cdc changes' lists the latest"}
	}
	if s.list != nil {
		return unit, s.list.record.Close()
	}
	if s.changes > maxLookup {
		return unit, s.out.Note("note: old rows were looked up for the first %d changes", maxLookup)
	}
	return unit, nil
}

// release prints what has been held back.
func (s *shower) release(log *Log) error {
	held := s.held
	if s.held = nil; len(held) == 0 {
		return nil
	}
	if err := s.earlier.load(held); err != nil {
		return err
	}
	for i := range held {
		if err := s.print(log, &held[i], s.earlier.before(&held[i])); err != nil {
			return err
		}
	}
	return nil
}

func (s *shower) print(log *Log, c *materialize.ChangeRow, before schema.Row) error {
	if s.list != nil {
		return s.list.print(c, before)
	}
	if !s.headed {
		s.headed = true
		if err := s.head(log, c.Unit); err != nil {
			return err
		}
	}
	if c.Table != nil && (s.table == nil || s.table.ID != c.Table.ID) {
		s.table = c.Table
		if _, err := fmt.Fprintln(s.out.Out, s.style.Bold(present.Clean(c.Table.FullName()))); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(s.out.Out, " %s  %s\n", s.sign(c.Op), s.line(&c.Change, before))
	return err
}

func (s *shower) line(c *changelog.Change, before schema.Row) string {
	summary := s.summary(c, before)
	if c.Table == nil || c.Op == changelog.OpTruncate {
		return summary
	}
	return s.key(c.Table, rowOf(c)) + "  " + summary
}

// head says which transaction it is.
func (s *shower) head(log *Log, u *changelog.UnitMeta) error {
	what := "transaction " + txText(u.XID)
	if u.Kind == changelog.UnitCopy {
		what = "copy"
	}
	source := fmt.Sprintf("source %d", u.Source)
	for _, info := range log.Catalog().Sources() {
		if info.ID == u.Source {
			source = info.Name
		}
	}
	_, err := fmt.Fprintf(s.out.Out, "%s\ncommitted %s at %s = offset %d\n\n", s.style.Yellow(what+" of "+present.Clean(source)),
		timeText(u.CommitTime), unitPositions(log)(u), u.Commit())
	return err
}
