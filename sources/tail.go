package sources

import (
	"context"

	"cdc/changelog"
	"cdc/schema"
)

// TailWriter stands in the place of a Writer where there is no log: it gives out what a stream brings, in the form that the log would
// hold it. It is for one goroutine.
type TailWriter struct {
	to      TailOutput
	change  changelog.Change
	ordinal uint64
}

// NewTailWriter makes a TailWriter.
func NewTailWriter(to TailOutput) *TailWriter { return &TailWriter{to: to} }

// Change gives out a row change.
func (t *TailWriter) Change(r *Row) (err error) {
	c := changelog.Change{Op: r.Op, Table: r.Table, Image: r.Image}
	if r.Before != nil {
		if c.Before, err = r.Table.Layout().Row(r.Before); err != nil {
			return err
		}
	}
	if r.After != nil {
		if c.After, err = r.Table.Layout().Row(r.After); err != nil {
			return err
		}
	}
	return t.give(c)
}

func (t *TailWriter) give(c changelog.Change) error {
	t.change, t.change.Ordinal = c, t.ordinal
	t.ordinal++
	return t.to.Change(&t.change)
}

// Truncate gives out a truncate.
func (t *TailWriter) Truncate(table *schema.Table, o changelog.TruncateOptions) error {
	return t.give(changelog.Change{Op: changelog.OpTruncate, Table: table, Cascade: o.Cascade, Restart: o.RestartIdentity})
}

// Message gives out a logical message.
func (t *TailWriter) Message(prefix, content []byte) error {
	return t.give(changelog.Change{Op: changelog.OpMessage, Prefix: prefix, Content: content})
}

// Commit ends the transaction.
func (t *TailWriter) Commit(_ context.Context, c Commit) (changelog.Offset, error) {
	t.ordinal = 0
	return 0, t.to.Commit(c)
}

// Rollback forgets the transaction, of which the changes have been given out.
func (t *TailWriter) Rollback() error {
	t.ordinal = 0
	return nil
}

// Tick is of no use without a log.
func (*TailWriter) Tick(context.Context, changelog.Position, changelog.Micros) (changelog.Offset, error) {
	return 0, nil
}

// SourceTime is of no use without a log.
func (*TailWriter) SourceTime(changelog.Micros) {}

// Moved is of no use without copies.
func (*TailWriter) Moved() {}
