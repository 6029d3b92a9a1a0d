package postgres

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

// Predicates are what ends the text of a predicate. Names and texts with a dollar are for quotes: it may begin a text of its own.
var Predicates = sources.PredicateRules{Quotes: `'"`, Refused: "`$"}

// reread reads rows of the table again. What the log holds of the table stays, and all that changed it is in the log.
func (k *chunkCopy) reread(ctx context.Context, r changelog.RereadRecord) error {
	err := k.tryReread(ctx, r)
	if codeOf(err) != "" || errors.Is(err, errReshaped) {
		return fmt.Errorf("%w: %w", sources.ErrStale, err)
	}
	return err
}

func (k *chunkCopy) tryReread(ctx context.Context, r changelog.RereadRecord) error {
	if err := Predicates.Check(r.Asked.Detail); err != nil {
		return &sources.NoRereadError{Why: err.Error()}
	}
	if _, err := k.g.w.Rereadable(r); err != nil {
		return err
	}
	found, err := k.find(ctx)
	if err != nil {
		return err
	}
	k.name = found.name
	switch {
	case found.left != nil:
		return &sources.NoRereadError{Why: "the table is not captured: it " + found.left.reason + "; " + found.left.remedy}
	case found.chosen == nil:
		return &sources.NoRereadError{Why: "the table was dropped at the source; there is nothing to read"}
	case found.whole:
		return &sources.NoRereadError{Why: "the table cannot be read in the order of its key, by its types; 'cdc snapshot TABLE' without --where copies the whole table"}
	}
	rows, err := k.matching(ctx, found, r.Asked.Detail)
	if err != nil {
		return err
	}
	k.startReport(rows)
	if _, standby, err := k.c.replayed(ctx); err != nil {
		return err
	} else if !standby { // which shows what it has replayed, and streams nothing else
		if err := k.noteOpen(ctx, r.Asked.Table); err != nil {
			return err
		}
	}
	k.s.log.Info("reading rows again", "table", found.name, "predicate", r.Asked.Detail, "resumed", r.Last.Cursor != "")
	return k.beside(ctx, func(ctx context.Context) error { return k.copier(found, r.Asked.Detail).Reread(ctx, r) })
}

// planRows are the rows that the planner expects, in the first line of a plan.
var planRows = regexp.MustCompile(`rows=(\d+)`)

// matching is how many rows match the predicate, as far as the planner can tell. What it refuses, the readers' session refuses as well, and
// says why.
func (k *chunkCopy) matching(ctx context.Context, f *found, predicate string) (float64, error) {
	if err := k.c.exec(ctx, "SET default_transaction_read_only = on"); err != nil {
		return 0, err
	}
	plan, err := k.c.patient(ctx, "EXPLAIN SELECT FROM "+f.chosen.only()+" WHERE ("+predicate+")")
	if codeOf(err) != "" {
		return 0, nil
	}
	if err != nil || len(plan) == 0 {
		return 0, err
	}
	rows := planRows.FindStringSubmatch(plan[0][0].text())
	if rows == nil {
		return 0, nil
	}
	return strconv.ParseFloat(rows[1], 64)
}

// passingClasses are classes of errors that come from the state of the server or of the connection, not from a predicate: lost
// connection, rollback, resources, locks, an operator, the system.
var passingClasses = []string{"08", "40", "53", "55", "57", "58"}

// refused makes an answer of the server to a query with the predicate the end of the reread.
func (r *chunkReader) refused(err error) error {
	code := codeOf(err)
	if r.predicate == "" || len(code) != 5 || slices.Contains(passingClasses, code[:2]) && code != "53400" {
		return err
	}
	return sources.RefusedPredicate(err)
}

// blame is refused for a query of a table that may have changed its name or its columns meanwhile.
func (r *chunkReader) blame(ctx context.Context, t *schema.Table, err error) error {
	refused := r.refused(err)
	var not *sources.NoRereadError
	if errors.As(refused, &not) {
		if changed := r.checkColumns(ctx, t); changed != nil {
			return changed
		}
	}
	return refused
}
