package sources

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cdc/changelog"
	"cdc/schema"
)

// NoRereadError says why rows cannot be read again, and trying once more does not mend it: the server refuses the predicate, or the
// table cannot be read so. It ends the reread and nothing else.
type NoRereadError struct {
	// Why ends with what to do.
	Why string
}

func (e *NoRereadError) Error() string { return e.Why }

// RefusedPredicate is the error of a predicate that the server has refused.
func RefusedPredicate(err error) error {
	return &NoRereadError{Why: "the server refuses the predicate: " + err.Error() + "; ask again with one that it takes in the WHERE of a SELECT"}
}

const (
	// rereadTries is how often a reread is tried without coming further: what stands in its way is no transaction that ends soon.
	rereadTries = 12
	// rereadPauseMin and rereadPauseMax bound the pause between two tries.
	rereadPauseMin, rereadPauseMax = 100 * time.Millisecond, 5 * time.Second
)

// RunReread tries a reread until it is over. A try that returns ErrStale is followed by another one, a while; one that cannot be
// completed is recorded as ended. So whatever a predicate does, the source goes on: any other error is the connection's.
func (w *Writer) RunReread(ctx context.Context, asked changelog.Offset, try func(context.Context, changelog.RereadRecord) error) error {
	pause, tries, last := rereadPauseMin, 0, ""
	for {
		r, ok := w.reread(asked)
		if !ok {
			return nil
		}
		if r.Last.Cursor != last {
			pause, tries, last = rereadPauseMin, 0, r.Last.Cursor
		}
		err := try(ctx, r)
		var not *NoRereadError
		switch {
		case errors.As(err, &not):
			return w.endReread(ctx, r, not)
		case !errors.Is(err, ErrStale):
			return err
		}
		if tries++; tries == rereadTries {
			return w.endReread(ctx, r, &NoRereadError{Why: fmt.Sprintf("tried %d times: %v; ask again when a change of the table has told the log "+
				"of its columns, or when it is quieter", tries, err)})
		}
		if err := Pause(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, rereadPauseMax)
	}
}

// Reread reads the rows again that the readers find, which look for the reread's predicate, beside the stream. It goes on where the log
// has it. It is a try for RunReread; the stream must be running.
func (c *Copier) Reread(ctx context.Context, r changelog.RereadRecord) error {
	tc, cursor, err := c.Writer.rereadTable(ctx, r)
	if err != nil || tc == nil {
		return err
	}
	defer tc.Done()
	return c.run(ctx, tc, cursor)
}

// rereadTable begins a reread, or takes it up where the log has it. There is nothing to read when the whole table has been copied since
// it was asked for: then the reread is complete, and there is no TableCopy.
func (w *Writer) rereadTable(ctx context.Context, r changelog.RereadRecord) (*TableCopy, string, error) {
	if err := w.turn.takeWithin(ctx); err != nil {
		return nil, "", err
	}
	defer w.turn.give()
	at, err := w.Rereadable(r)
	if err != nil {
		return nil, "", err
	}
	record := changelog.Reread{Table: r.Asked.Table, Asked: r.Asked.Offset}
	if at.From > r.Asked.Offset {
		record.Stage = changelog.RereadComplete
		return nil, "", w.recordReread(ctx, record)
	}
	c := &TableCopy{w: w, table: at.Table, reread: &record}
	w.setCopy(at.Table.ID, c)
	return c, r.Last.Cursor, nil
}

// Rereadable is the table, if rows of it can be read again, else a NoRereadError.
func (w *Writer) Rereadable(r changelog.RereadRecord) (changelog.TableAt, error) {
	at, ok := w.log.Catalog().TableAt(r.Asked.Table, newest)
	switch {
	case !ok || !at.Answerable():
		return at, &NoRereadError{Why: WhyNotHeld}
	case len(at.Table.KeyColumns()) == 0:
		return at, &NoRereadError{Why: WhyKeyless}
	}
	if r.Last.Cursor != "" {
		then, ok := w.log.Catalog().TableAt(r.Asked.Table, r.Since)
		if !ok || !slices.EqualFunc(keyOf(then.Table), keyOf(at.Table), sameColumn) {
			return at, &NoRereadError{Why: "the table has another key than when it began; ask again"}
		}
	}
	return at, nil
}

// Why rows of a table cannot be read again, and what to do.
const (
	WhyKeyless = "the table has no key: equal rows cannot be told apart, so a row that is read again could not take the place of the one that the " +
		"log holds; 'cdc snapshot TABLE' without --where copies the whole table"
	WhyNotHeld = "the log does not hold the whole table at the moment, so there is nothing to which some rows could be added; " +
		"'cdc snapshot TABLE' without --where copies it"
)

func keyOf(t *schema.Table) []schema.Column {
	var key []schema.Column
	for _, i := range t.KeyColumns() {
		key = append(key, t.Columns[i])
	}
	return key
}

func sameColumn(a, b schema.Column) bool { return a.ID == b.ID && a.SQLType == b.SQLType }

// endReread records that a reread cannot be completed, and why.
func (w *Writer) endReread(ctx context.Context, r changelog.RereadRecord, why *NoRereadError) error {
	if err := w.turn.takeWithin(ctx); err != nil {
		return err
	}
	defer w.turn.give()
	return w.recordReread(ctx, changelog.Reread{
		Table: r.Asked.Table, Asked: r.Asked.Offset, Stage: changelog.RereadEnded, Detail: why.Why,
	})
}

// recordReread appends how far a reread is. The turn is the caller's.
func (w *Writer) recordReread(ctx context.Context, r changelog.Reread) error {
	w.unit.AddReread(r)
	if err := w.commitCopy(ctx); err != nil {
		return errors.Join(fmt.Errorf("record how far a reread is: %w", err), w.forget())
	}
	return nil
}

// Rereads are those of the source that are not over, in the order in which they were asked for.
func (w *Writer) Rereads() []changelog.RereadRecord {
	return slices.DeleteFunc(w.log.Catalog().Rereads(), func(r changelog.RereadRecord) bool {
		return r.Asked.Source != w.info.ID || r.Last.Stage.Over()
	})
}

// reread is the reread that the decision asked for, as the log has it; false when it is over.
func (w *Writer) reread(asked changelog.Offset) (changelog.RereadRecord, bool) {
	all := w.Rereads()
	i := slices.IndexFunc(all, func(r changelog.RereadRecord) bool { return r.Asked.Offset == asked })
	if i < 0 {
		return changelog.RereadRecord{}, false
	}
	return all[i], true
}
