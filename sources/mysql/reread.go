package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

// Predicates are what ends the text of a predicate. Names with a dollar are for quotes, as # begins a comment.
var Predicates = sources.PredicateRules{Quotes: "'\"`", Refused: "#$"}

// reread reads rows of a table again. The table stays answerable, so the source counts as streaming.
func (s *Source) reread(ctx context.Context, w *sources.Writer, c *sources.Copier, r changelog.RereadRecord) error {
	if err := Predicates.Check(r.Asked.Detail); err != nil {
		return &sources.NoRereadError{Why: err.Error()}
	}
	at, err := w.Rereadable(r)
	if err != nil {
		return err
	}
	rows, err := s.matching(ctx, at.Table, r.Asked.Detail)
	if err != nil {
		return err
	}
	defer s.report(func(p *sources.Progress) { p.Copy = nil })
	s.report(func(p *sources.Progress) {
		p.Phase = sources.PhaseStreaming
		p.Copy = &sources.CopyProgress{Tables: 1, RowsEstimated: rows, Current: at.Table.FullName()}
	})
	s.log.Info("reading rows again", "table", at.Table.FullName(), "predicate", r.Asked.Detail, "resumed", r.Last.Cursor != "")
	return choosing(c, r.Asked.Detail).Reread(ctx, r)
}

// matching is how many rows match the predicate, as far as the server can tell; 0 when it refuses to, as it will the readers, and says why.
func (s *Source) matching(ctx context.Context, t *schema.Table, predicate string) (int64, error) {
	v, err := s.openViewer(ctx)
	if err != nil {
		return 0, err
	}
	defer v.close()
	v.patience(0) // a plan may take running a part of it
	explain := "EXPLAIN SELECT * FROM "
	if v.is.flavour == flavourMariaDB {
		explain = "EXPLAIN EXTENDED SELECT * FROM "
	}
	plan, err := v.query(explain + quoteName(t.Schema) + "." + quoteName(t.Name) + " WHERE (" + predicate + ")")
	if codeOf(err) != 0 {
		return 0, nil
	}
	const fromEnd = 3 // the last columns are rows, filtered and Extra
	if err != nil || len(plan) == 0 || len(plan[0]) < fromEnd {
		return 0, err
	}
	tail := plan[0][len(plan[0])-fromEnd:]
	percent, err := strconv.ParseFloat(tail[1].s, 64)
	if err != nil { // the server knows without looking that no row does
		return 0, nil
	}
	return int64(float64(number(tail[0])) * percent / 100), nil
}

// choosing reads only the rows that match the predicate.
func choosing(c *sources.Copier, predicate string) *sources.Copier {
	chosen := *c
	chosen.Open = func(ctx context.Context) (sources.ChunkReader, error) {
		reader, err := c.Open(ctx)
		if r, ok := reader.(*chunkReader); ok && err == nil {
			r.predicate = predicate
			r.patience(0) // rows that match may be far between
		}
		return reader, err
	}
	return &chosen
}

// passingErrors come from the state of the server, not from a predicate.
var passingErrors = []uint16{
	1040, 1053, 1203, 1226, // no connection to be had
	1205, 1213, errTableChanged, // lock not to be had, deadlock
	1021, 1037, 1041, 1158, 1159, 1160, 1161, // disk full, out of memory, network
	1317, 1927, 1969, 3024, // interrupted, by an operator or a limit
}

// blame makes an answer of the server to a query with the predicate the end of the reread, unless the table has changed meanwhile.
func (r *chunkReader) blame(t *schema.Table, err error) error {
	code := codeOf(err)
	switch {
	case err == nil || r.predicate == "":
		return err
	case errors.Is(err, errCursor):
		return &sources.NoRereadError{Why: "the order of the table's key has changed since the rows began to be read; ask again"}
	case code == 0:
		return err
	case slices.Contains(passingErrors, code), code == errNoSuchTable && strings.Contains(err.Error(), "'"+t.Schema+"."+t.Name+"'"):
		return fmt.Errorf("%w: %w", sources.ErrStale, err)
	}
	if _, changed := r.readerOf(t); changed != nil {
		return fmt.Errorf("%w: %w", sources.ErrStale, changed)
	}
	return sources.RefusedPredicate(err)
}
