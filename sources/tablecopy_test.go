package sources

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/rowstate"
	"cdc/changelog/vfs"
	"cdc/schema"
)

// Goal: however commits, their visibility, the stream, the reading of chunks, their appending and crashes interleave, the log holds
// at the end of a copy, and at every commit after it, exactly the source's rows, complete. Rows that are read again later change none
// of it.
//
// Method: a database with versions, in which a transaction may reach the stream before a new view sees it, as real ones may. One
// goroutine takes steps in random order. The oracle is the database's own rows at the same transaction. Dropping any rule of the
// merge (the changes since From, the wait for the view, the wait for the stream, the overlay of parts) fails on early cases.

const copyColumns = 4 // id and three values

type copyRow [copyColumns - 1]int64

// copyDB commits transactions in order. visible says how many of them new views see, streamed how many the log has.
type copyDB struct {
	states  []map[int64]copyRow // after each transaction
	changes [][]Row             // of each transaction
	visible int
}

func copyTable(name string) *schema.Table {
	t := &schema.Table{Source: "test", Schema: "s", Name: name, SourceTable: 7, Identity: schema.IdentityKey}
	for i := range copyColumns {
		c := schema.Column{ID: uint32(i + 1), Name: "c" + strconv.Itoa(i), Kind: schema.Int64, SQLType: "bigint"}
		if i == 0 {
			c.Key = 1
		}
		t.Columns = append(t.Columns, c)
	}
	if err := t.Prepare(); err != nil {
		panic(err)
	}
	return t
}

// packCopyRow packs the columns whose bit is set in sent.
func packCopyRow(t *schema.Table, id int64, row copyRow, sent uint) []byte {
	var b schema.Builder
	b.Reset(t.Layout(), nil)
	if sent&1 != 0 {
		b.Int(0, id)
	}
	for i, v := range row {
		if sent&(2<<i) != 0 {
			b.Int(i+1, v)
		}
	}
	packed, err := b.Finish()
	if err != nil {
		panic(err)
	}
	return packed
}

const sentAll = 1<<copyColumns - 1

// copyRun is one run of the model.
type copyRun struct {
	t     *rapid.T
	files *vfs.Mem
	db    copyDB
	next  int64 // a value that no row has yet
	parts bool  // images may be in part

	log      *disklog.Log
	state    *rowstate.Store
	w        *Writer
	table    *schema.Table
	streamed int
	copy     *TableCopy
	cursor   string
	chunk    *Chunk
	place    *Place
	complete bool
	// reread is the decision to read rows again that is being carried out, 0 for none.
	reread changelog.Offset
}

func (r *copyRun) open() {
	var err error
	if r.log, err = disklog.Open("data", disklog.Options{FS: r.files, SegmentBytes: 64 << 10}); err != nil {
		r.t.Fatal(err)
	}
	r.state, err = rowstate.Open(r.t.Context(), rowstate.Options{Log: r.log, Source: 1, AnyColumn: true})
	if err != nil {
		r.t.Fatal(err)
	}
	r.w = NewWriter(WriterOptions{Log: r.log, State: r.state, Source: changelog.SourceInfo{Name: "test"}})
	if r.w.Source().Epoch == 0 {
		if err := r.w.Introduce(r.t.Context(), "test", nil); err != nil {
			r.t.Fatal(err)
		}
	}
	r.streamed = int(number(r.w.Progress().Position))
	r.copy, r.chunk, r.place = nil, nil, nil
	r.table = r.log.Catalog().Register(1, copyTable("rows"))
	at, ok := r.log.Catalog().TableAt(r.table.ID, newest)
	r.complete = ok && at.Answerable()
	r.reread = 0
	for _, asked := range r.w.Rereads() {
		r.reread = asked.Asked.Offset
	}
}

func number(p changelog.Position) uint64 {
	if p == "" {
		return 0
	}
	return binary.BigEndian.Uint64([]byte(p))
}

func numbered(n int) changelog.Position {
	return changelog.Position(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

// commitTx makes a transaction of the database. Images are those of the table's version at registration.
func (r *copyRun) commitTx() {
	rows := maps.Clone(r.db.states[len(r.db.states)-1])
	var changes []Row
	for range rapid.IntRange(1, 3).Draw(r.t, "changes") {
		ids := slices.Sorted(maps.Keys(rows))
		r.next++
		fresh := copyRow{r.next, -r.next, 7}
		op := rapid.IntRange(0, 9).Draw(r.t, "op")
		free := int64(rapid.IntRange(0, 15).Draw(r.t, "id"))
		_, taken := rows[free]
		switch {
		case (op < 3 || len(ids) == 0) && !taken:
			rows[free] = fresh
			changes = append(changes, Row{Op: changelog.OpCreate, Table: r.table, After: packCopyRow(r.table, free, fresh, sentAll)})
		case len(ids) == 0:
		case op < 7: // update
			id := ids[rapid.IntRange(0, len(ids)-1).Draw(r.t, "which")]
			row, sent := rows[id], uint(sentAll)
			if r.parts {
				sent = uint(rapid.IntRange(1, sentAll).Draw(r.t, "sent"))
			}
			for i := range row {
				if sent&(2<<i) != 0 {
					row[i] = fresh[i]
				}
			}
			rows[id] = row
			changes = append(changes, Row{
				Op: changelog.OpUpdate, Table: r.table, Image: changelog.ImageKey,
				Before: packCopyRow(r.table, id, row, 1), After: packCopyRow(r.table, id, row, sent),
			})
		case op == 7 && !taken: // the row moves to another key
			id := ids[rapid.IntRange(0, len(ids)-1).Draw(r.t, "which")]
			row := rows[id]
			sent := uint(sentAll)
			if r.parts && rapid.Bool().Draw(r.t, "part") {
				sent = 1
			}
			delete(rows, id)
			rows[free] = row
			changes = append(changes, Row{
				Op: changelog.OpUpdate, Table: r.table, Image: changelog.ImageKey,
				Before: packCopyRow(r.table, id, row, 1), After: packCopyRow(r.table, free, row, sent),
			})
		case op == 8 && len(ids) > 4:
			rows = map[int64]copyRow{}
			changes = append(changes, Row{Op: changelog.OpTruncate, Table: r.table})
		default:
			id := ids[rapid.IntRange(0, len(ids)-1).Draw(r.t, "which")]
			changes = append(changes, Row{Op: changelog.OpDelete, Table: r.table, Image: changelog.ImageKey, Before: packCopyRow(r.table, id, rows[id], 1)})
			delete(rows, id)
		}
	}
	r.db.states, r.db.changes = append(r.db.states, rows), append(r.db.changes, changes)
}

// stream brings the next transaction into the log.
func (r *copyRun) stream() {
	n := r.streamed + 1
	for _, row := range r.db.changes[n] {
		row.Table = r.table // of this opening of the log
		var err error
		if row.Op == changelog.OpTruncate {
			err = r.w.Truncate(row.Table, changelog.TruncateOptions{})
		} else {
			err = r.w.Change(&row)
		}
		if errors.Is(err, rowstate.ErrReadAgain) {
			if err = r.w.Abort(); err == nil { // as a new connection does
				r.copy, r.chunk, r.place = nil, nil, nil
				return
			}
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	if _, err := r.w.Commit(r.t.Context(), Commit{Position: numbered(n), XID: uint64(n), Time: changelog.Micros(n)}); err != nil {
		r.t.Fatal(err)
	}
	r.streamed = n
}

// openChunk opens the next chunk and reads it, as a ChunkReader would.
func (r *copyRun) openChunk() {
	if r.copy == nil {
		r.beginCopy()
	}
	r.chunk = r.copy.Open()
}

// ask asks for rows to be read again: those that matches chooses.
func (r *copyRun) ask() {
	var u changelog.UnitBuilder
	u.Reset(changelog.UnitControl)
	u.Meta.Source, u.Meta.Epoch = 1, 1
	u.AddDecision(changelog.Decision{Action: changelog.ActionReread, Table: r.table.ID, Detail: "predicate"})
	n, err := r.log.Append(r.t.Context(), &u)
	if err != nil {
		r.t.Fatal(err)
	}
	r.reread, r.copy = n, nil
}

func matches(row copyRow) bool { return row[0]%3 != 0 }

func (r *copyRun) beginCopy() {
	var err error
	if asked, ok := r.w.reread(r.reread); ok {
		if r.copy, r.cursor, err = r.w.rereadTable(r.t.Context(), asked); err != nil || r.copy == nil {
			r.t.Fatal("the table is not read again", err)
		}
		return
	}
	if r.copy, r.cursor, err = r.w.CopyTable(r.t.Context(), r.table, ""); err != nil {
		r.t.Fatal(err)
	}
}

// fillChunk reads the rows at a view, once the view holds everything up to From.
func (r *copyRun) fillChunk() {
	if r.db.visible < int(number(r.chunk.From)) {
		return
	}
	after := int64(-1)
	if r.cursor != "" {
		after, _ = strconv.ParseInt(r.cursor, 10, 64)
	}
	rows := r.db.states[r.db.visible]
	most := rapid.IntRange(1, 6).Draw(r.t, "rows")
	place := Place{Last: true}
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		if id <= after || r.reread != 0 && !matches(rows[id]) {
			continue
		}
		if r.chunk.Len() == most {
			place.Last = false
			break
		}
		if _, err := r.chunk.Add(packCopyRow(r.table, id, rows[id], sentAll)); err != nil {
			r.t.Fatal(err)
		}
		place.Cursor = strconv.FormatInt(id, 10)
	}
	high := len(r.db.states) - 1 // read after the view: it may hold all of that
	place.Reached = func() bool { return r.streamed >= high }
	r.place = &place
}

func (r *copyRun) appendChunk() {
	ch := r.chunk
	ch.copy.mu.Lock()
	ch.read = true
	ch.copy.mu.Unlock()
	done, err := ch.tryAppend(r.t.Context(), *r.place)
	switch {
	case errors.Is(err, errAgain):
		ch.Close()
		r.beginCopy()
	case errors.Is(err, ErrStale):
	case err != nil:
		r.t.Fatal(err)
	case !done:
		return
	default:
		r.cursor = r.place.Cursor
		if r.place.Last {
			r.copy.Done()
			r.end()
		}
	}
	ch.Close()
	r.chunk, r.place = nil, nil
}

// end notes that the copy, or the reread, has come to its end.
func (r *copyRun) end() {
	r.reread, r.complete = 0, true
}

// done reports whether there is nothing to be read.
func (r *copyRun) done() bool { return r.complete && r.reread == 0 }

// crash loses what is not durable, and the copy's memory.
func (r *copyRun) crash() {
	seed := rapid.Uint64().Draw(r.t, "seed")
	survived := r.files.Crash(rand.New(rand.NewPCG(seed, 1)), int(seed%101))
	if err := r.w.Abort(); err != nil {
		r.t.Fatal(err)
	}
	_ = r.state.Close()
	_ = r.log.Close()
	r.files = survived
	r.open()
}

func (r *copyRun) step() {
	switch n := rapid.IntRange(0, 11).Draw(r.t, "step"); {
	case n < 3:
		r.commitTx()
	case n == 3 || n == 4:
		// A transaction may be streamed that no view shows yet.
		if r.streamed < len(r.db.states)-1 {
			r.stream()
		}
	case n == 5 && rapid.IntRange(0, 9).Draw(r.t, "crash") == 0:
		r.crash()
	case n == 6 || n == 7:
		r.db.visible = rapid.IntRange(r.db.visible, len(r.db.states)-1).Draw(r.t, "visible")
	case r.done():
		r.ask()
	default:
		r.read()
	}
}

// read takes the next step of a copy or a reread.
func (r *copyRun) read() {
	switch {
	case r.chunk == nil:
		r.openChunk()
	case r.place == nil:
		r.fillChunk()
	default:
		r.appendChunk()
	}
}

// check replays the log as a reader does, and compares it with the database at every transaction after the copy.
func (r *copyRun) check() {
	if err := r.log.WaitDurable(r.t.Context(), r.w.Progress().Commit); err != nil {
		r.t.Fatal(err)
	}
	at, ok := r.log.Catalog().TableAt(r.table.ID, newest)
	if !ok || !at.Answerable() {
		r.t.Fatalf("the table is not answerable: %+v", at)
	}
	cursor, err := r.log.Cursor(changelog.CursorOptions{From: at.From})
	if err != nil {
		r.t.Fatal(err)
	}
	defer cursor.Close()
	rows := map[int64]copyRow{}
	for {
		u, err := cursor.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.t.Fatal(err)
		}
		whole := u.Meta.Commit() >= at.KnownFrom
		r.replay(u, rows, whole)
		if whole && u.Meta.Kind != changelog.UnitControl {
			u.LoadPosition()
			if n := number(u.Meta.Position); !maps.Equal(rows, r.db.states[n]) {
				r.t.Fatalf("at transaction %d the log holds %v, the database held %v", n, rows, r.db.states[n])
			}
		}
	}
}

func (r *copyRun) replay(u *changelog.Unit, rows map[int64]copyRow, whole bool) {
	var c changelog.Change
	for {
		ok, err := u.Next(&c)
		if err != nil {
			r.t.Fatal(err)
		}
		if !ok {
			return
		}
		if c.Op == changelog.OpTruncate {
			clear(rows)
			continue
		}
		if !c.Before.IsZero() {
			delete(rows, c.Before.Int(0))
		}
		if c.After.IsZero() {
			continue
		}
		if c.After.HasAbsent() && (whole || c.Op == changelog.OpRead) {
			r.t.Fatalf("a row at offset %d is not complete", c.Offset)
		}
		row := copyRow{}
		for i := range row {
			if c.After.State(i+1) == schema.Present {
				row[i] = c.After.Int(i + 1)
			}
		}
		rows[c.After.Int(0)] = row
	}
}

func TestG2G6CopyInChunksAmongChanges(t *testing.T) {
	for _, parts := range []bool{false, true} {
		t.Run(fmt.Sprintf("parts=%t", parts), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				r := &copyRun{t: t, files: vfs.NewMem(), parts: parts}
				r.open()
				r.db.states, r.db.changes = []map[int64]copyRow{{}}, [][]Row{nil}
				for range rapid.IntRange(1, 6).Draw(t, "before") { // rows that only the copy can bring: the stream begins after them
					r.commitTx()
				}
				start := len(r.db.states) - 1
				r.db.visible, r.streamed = start, start
				if _, err := r.w.Tick(t.Context(), numbered(start), 1); err != nil {
					t.Fatal(err)
				}
				r.beginCopy()
				if err := r.log.WaitDurable(t.Context(), r.w.Progress().Commit); err != nil {
					t.Fatal(err)
				}
				for range rapid.IntRange(0, 120).Draw(t, "steps") {
					r.step()
				}
				for !r.done() || r.streamed < len(r.db.states)-1 {
					r.db.visible = len(r.db.states) - 1
					if r.streamed < len(r.db.states)-1 {
						r.stream()
					}
					if !r.done() {
						r.read()
					}
				}
				r.check()
				_ = r.state.Close()
				_ = r.log.Close()
			})
		})
	}
}

// Transactions that change nothing of ours end while a chunk is being built: what is built is not theirs to append.
func TestG5EmptyTransactionLeavesAChunkAlone(t *testing.T) {
	log, err := disklog.Open("data", disklog.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	w := NewWriter(WriterOptions{Log: log, Source: changelog.SourceInfo{Name: "test"}})
	w.turn.take() // as a chunk does
	defer w.turn.give()
	w.unit.Message([]byte("of the chunk"), nil)
	if n, err := w.Commit(t.Context(), Commit{Position: numbered(1), XID: 1, Time: 1}); n != 0 || err != nil || w.unit.IsEmpty() {
		t.Fatalf("commit gave offset %d, %v, the chunk is empty: %t", n, err, w.unit.IsEmpty())
	}
	if err := w.Rollback(); err != nil || w.unit.IsEmpty() {
		t.Fatalf("rollback: %v, the chunk is empty: %t", err, w.unit.IsEmpty())
	}
}

// A stream that fails within a transaction keeps the turn until everybody beside it has ended: whoever waits for the turn must not
// wait beyond that.
func TestG8ChunkDoesNotWaitForATransactionThatNeverEnds(t *testing.T) {
	log, err := disklog.Open("data", disklog.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	w := NewWriter(WriterOptions{Log: log, Source: changelog.SourceInfo{Name: "test"}})
	w.open() // the transaction
	ended := errors.New("the stream has ended")
	ctx, cancel := context.WithCancelCause(t.Context())
	waits := map[string]func() error{
		"a chunk": func() error {
			_, err := (&Chunk{copy: &TableCopy{w: w}}).tryAppend(ctx, Place{})
			return err
		},
		"a copy": func() error {
			table := &schema.Table{Source: "test", Schema: "s", Name: "t", Columns: []schema.Column{{ID: 1, Name: "id", Kind: schema.Int32, Key: 1}}}
			if err := table.Prepare(); err != nil {
				return err
			}
			_, _, err := w.CopyTable(ctx, table, "")
			return err
		},
		"a reread": func() error {
			_, _, err := w.rereadTable(ctx, changelog.RereadRecord{})
			return err
		},
		"a look at a table":   func() error { _, _, err := w.TableAt(ctx, 1); return err },
		"the end of a reread": func() error { return w.endReread(ctx, changelog.RereadRecord{}, &NoRereadError{}) },
	}
	results := make(chan error, len(waits))
	for name, wait := range waits {
		go func() {
			if err := wait(); !errors.Is(err, ended) {
				results <- fmt.Errorf("%s: %w", name, err)
				return
			}
			results <- nil
		}()
	}
	cancel(ended)
	for range waits {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// A table that is asked for within a transaction is seen with it, and not taken for one that is not there.
func TestG2TableOfAnOpenTransactionIsWaitedFor(t *testing.T) {
	log, err := disklog.Open("data", disklog.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	w := NewWriter(WriterOptions{Log: log, Source: changelog.SourceInfo{Name: "test"}})
	if err := w.Introduce(t.Context(), "test", nil); err != nil {
		t.Fatal(err)
	}
	table := w.Register(copyTable("t"))
	w.TableState(changelog.TableState{Table: table.ID, State: changelog.TableRewritten})
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if at, ok, err := w.TableAt(short, table.ID); err == nil {
		t.Fatalf("the table was looked up within the transaction that makes it: %+v, found %t", at, ok)
	}
	if _, err := w.Commit(t.Context(), Commit{Position: "1"}); err != nil {
		t.Fatal(err)
	}
	at, ok, err := w.TableAt(t.Context(), table.ID)
	if err != nil || !ok || at.State.State != changelog.TableRewritten {
		t.Fatalf("%+v, found %t, %v", at, ok, err)
	}
	// What the log captures no longer by then is not copied.
	w.TableState(changelog.TableState{Table: table.ID, State: changelog.TableUntracked})
	if _, err := w.Commit(t.Context(), Commit{Position: "2"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.copyCaptured(t.Context(), table, ""); !errors.Is(err, ErrStale) {
		t.Fatalf("a copy of a table that was left out: %v", err)
	}
}
