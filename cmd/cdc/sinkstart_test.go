package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/schema"
	"cdc/sinks"
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
	if err := c.log.WaitDurable(t.Context(), ticked); err != nil { // what is not durable is not looked at
		t.Fatal(err)
	}
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

// A table is no rival for a topic when it was dropped before the place behind which a sink begins, which only a sink that cannot have
// published anything has.
func TestTablesDroppedBeforeASinkBeganAreNotPublished(t *testing.T) {
	app := &App{Data: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
	log, err := disklog.Open(app.Data, disklog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := &shopLog{t: t, log: log, lsn: 0x100}
	s.unit.Reset(changelog.UnitControl)
	s.unit.Meta.Source, s.unit.Meta.Epoch = shopSource, 1
	s.unit.AddSource(changelog.SourceInfo{ID: shopSource, Epoch: 1, Name: "shop", Kind: "postgres"})
	s.append()
	table := func(name string, number uint32) *schema.Table {
		v := s.register(&schema.Table{
			Source: "shop", Schema: "public", Name: name, SourceTable: number, Identity: schema.IdentityKey,
			Columns: []schema.Column{{ID: 1, Name: "id", Kind: schema.Int64, SQLType: "bigint", NotNull: true, Key: 1}},
		})
		s.state(v, changelog.TableCopied, "")
		return v
	}
	old, revived := table("a b", 1), table("r", 3)
	s.commit(changelog.UnitTx, "2022-06-08T11:00:00Z")
	s.state(old, changelog.TableDropped, "")
	s.state(revived, changelog.TableDropped, "")
	s.commit(changelog.UnitTx, "2022-06-08T12:00:00Z")
	dropped := log.Bounds().Next - 1
	table("a_b", 2)
	s.state(revived, changelog.TableCopied, "")
	s.commit(changelog.UnitTx, "2022-06-08T13:00:00Z")
	s.state(revived, changelog.TableDropped, "")
	s.commit(changelog.UnitTx, "2022-06-08T14:00:00Z")

	names := func(begun changelog.Offset) (all []string) {
		for _, v := range publishedTables(log, func(*schema.Table) bool { return true }, begun) {
			all = append(all, v.Name)
		}
		slices.Sort(all)
		return all
	}
	for begun, want := range map[changelog.Offset][]string{0: {"a b", "a_b", "r"}, dropped - 1: {"a b", "a_b", "r"}, dropped: {"a_b", "r"}} {
		if got := names(begun); !slices.Equal(got, want) {
			t.Errorf("of a sink that begins behind %d, tables %q are published, want %q", begun, got, want)
		}
	}

	spec := config.Sink{Name: "files", URL: config.SinkURL("file:" + t.TempDir()), Start: "2022-06-08T12:30:00Z"}
	start := func() *publisher {
		c := &capture{app: app, log: log, logger: app.Logger}
		p, err := c.newPublisher(spec)
		if err == nil {
			err = c.start(t.Context(), p, startNow)
		}
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := start(); p.begun() != dropped {
		t.Errorf("a new sink begins behind %d, want %d", p.begun(), dropped)
	}
	p := start()
	if p.begun() != dropped {
		t.Errorf("started again it begins behind %d, want %d", p.begun(), dropped)
	}
	if err := p.store.Save(sinks.Checkpoint{Offset: dropped + 1}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(sinksDir(app.Data), spec.Name, "checkpoint.json")); err != nil {
		t.Fatal(err)
	}
	if p := start(); p.begun() != 0 {
		t.Errorf("a sink that has lost its checkpoint may have published anything: it begins behind %d", p.begun())
	}
}
