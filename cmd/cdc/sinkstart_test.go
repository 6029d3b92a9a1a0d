package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/exit"
	"cdc/schema"
	"cdc/sources"
	"cdc/sources/postgres"
)

// A place within the first copy of a table is refused, with where the copy is complete. One behind it is not, nor is one within a later
// copy, nor what concerns a table that the sink does not publish.
func TestSinkDoesNotStartWithinTheFirstCopy(t *testing.T) {
	place := func(n postgres.LSN) changelog.Position {
		return postgres.FormatPosition(postgres.Position{Timeline: 1, Commit: n, End: n})
	}
	const copying, complete, again, ticked = 4, 6, 8, 9
	c := startCapture(t, map[string]*fakeSource{"shop": {kind: postgres.Kind, then: func(ctx context.Context, w *sources.Writer) error {
		products := productsTable(t, w)
		if err := w.BeginCopies(ctx, []*schema.Table{products}, sources.Commit{Position: place(0x100), Time: 1}); err != nil {
			return err
		}
		for i, state := range []changelog.TableStateKind{changelog.TableComplete, changelog.TableRewritten} {
			w.TableState(changelog.TableState{Table: products.ID, State: state})
			if _, err := w.Commit(ctx, sources.Commit{Kind: changelog.UnitTx, Position: place(0x200 + postgres.LSN(i)), Time: 2}); err != nil {
				return err
			}
		}
		if _, err := w.Tick(ctx, place(0x300), 3); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}}})
	awaitStatus(t, c, "shop", func(s *client.Source) bool { return s.Offset >= ticked })
	all, none := func(*schema.Table) bool { return true }, func(*schema.Table) bool { return false }
	for at, allowed := range map[changelog.Offset]bool{1: true, copying: false, complete: true, again: true, ticked: true} {
		err := copiedAt(t.Context(), c.log, at, all)
		if (err == nil) != allowed {
			t.Errorf("offset %d: %v", at, err)
		}
		if err := copiedAt(t.Context(), c.log, at, none); err != nil {
			t.Errorf("offset %d, without the table: %v", at, err)
		}
	}
	var refused *exit.Error
	if err := copiedAt(t.Context(), c.log, copying, all); !errors.As(err, &refused) || refused.Code != exit.Moment || !strings.Contains(refused.What, "complete at 0/200") {
		t.Errorf("the place is refused by %v", err)
	}
}
