package sources_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/rowstate"
	"cdc/changelog/vfs"
	"cdc/schema"
	"cdc/sources"
)

// A row that is larger than a unit or a frame of the main log reaches the log through a side segment.
func TestRowLargerThanAUnitIsReadAsItWasWritten(t *testing.T) {
	w, log := openWriter(t)
	table := w.Register(wide())
	large := bytes.Repeat([]byte("0123456789abcdef"), (changelog.MaxUnitBytes+1<<20)/16)
	for n := uint64(1); n <= 2; n++ { // twice: the second completes the first from state
		var b schema.Builder
		b.Reset(table.Layout(), nil)
		b.Int(0, 7)
		if n == 1 {
			b.Bytes(1, large)
		}
		b.String(2, "x")
		row, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		op := changelog.OpUpdate
		if n == 1 {
			op = changelog.OpCreate
		}
		if err := w.Change(&sources.Row{Op: op, Table: table, After: row}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(t.Context(), sources.Commit{Position: position(n), Time: changelog.Micros(n)}); err != nil {
			t.Fatal(err)
		}
		if last := lastAfter(t, log); !bytes.Equal(last, large) {
			t.Fatalf("transaction %d: the log holds %d bytes, want %d", n, len(last), len(large))
		}
	}
}

// A restart must not take up a source that stopped for want of a value: nothing has been decided.
func TestG2StopForAMissingValueStaysOpen(t *testing.T) {
	w, log := openWriter(t)
	table := w.Register(wide())
	var b schema.Builder
	b.Reset(table.Layout(), nil)
	b.Int(0, 7)
	row, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	err = w.Change(&sources.Row{Op: changelog.OpUpdate, Table: table, After: row})
	var stop *sources.Stop
	if !errors.As(err, &stop) || stop.TableName == "" {
		t.Fatalf("a value that the log does not hold gave %v", err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Control(t.Context(), func(b *changelog.UnitBuilder) { b.AddStop(stop.Stop) }); err != nil {
		t.Fatal(err)
	}
	if open, ok := log.Catalog().OpenStop(w.Source().ID); !ok || open.Kind != changelog.StopCorrupt {
		t.Fatalf("open stop %v, %t", open, ok)
	}
}

func TestG7ChangeThatNobodyCouldReadIsNotWritten(t *testing.T) {
	w, log := openWriter(t)
	table := w.Register(numbers())
	before := log.Bounds().Next
	err := w.Change(&sources.Row{Op: changelog.OpDelete, Table: table})
	if err == nil {
		_, err = w.Commit(t.Context(), sources.Commit{Position: position(1), Time: 1})
	}
	if err == nil || log.Bounds().Next != before {
		t.Fatalf("a delete without an old row: %v", err)
	}
}

// flood is a source whose only transaction never ends.
type flood struct{}

func (s flood) Stream(ctx context.Context, w *sources.Writer) error {
	if err := w.Introduce(ctx, "test", nil); err != nil {
		return err
	}
	content := make([]byte, 1<<20)
	for {
		if err := w.Message([]byte("p"), content); err != nil {
			return err
		}
	}
}

func (flood) Ack(changelog.Position)     {}
func (flood) Progress() sources.Progress { return sources.Progress{} }
func (flood) Current(context.Context) (func(changelog.Position) bool, error) {
	return nil, errors.New("unknown")
}

// A full disk pauses a source in the middle of a giant transaction; it must not keep the process from ending.
func TestG8IngestEndsWhileAGiantTransactionWaitsForSpace(t *testing.T) {
	files := vfs.NewFaulty(vfs.NewMem())
	log, err := disklog.Open("data/log", disklog.Options{FS: files})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	state, err := rowstate.Open(t.Context(), rowstate.Options{Log: log, Source: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	files.SetHook(func(c vfs.Call) error {
		if c.Kind == vfs.KindWrite && strings.HasSuffix(c.Name, ".side") && c.Offset > 0 {
			return syscall.ENOSPC
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- sources.Ingest(ctx, sources.IngestOptions{
			Log: log, State: state, Source: flood{}, Name: "test", Logger: slog.New(slog.DiscardHandler),
		})
	}()
	for !errors.Is(log.Health().Err, changelog.ErrNoSpace) {
		runtime.Gosched()
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("ingest ended with %v", err)
	}
	if left, err := files.ReadDir("data/log/log/side"); err != nil || len(left) != 0 {
		t.Fatalf("side segments %v, %v", left, err)
	}
}
