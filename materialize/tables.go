package materialize

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"cdc/changelog"
	"cdc/schema"
)

// Limits of a rebuild.
const (
	// DefaultMemoryBytes is how much a rebuild holds in memory before it spills.
	DefaultMemoryBytes = 256 << 20
	// DefaultBatchRows is the most rows of a batch.
	DefaultBatchRows = 8192
	// batchBytes is the size from which on a batch is handed over though it holds fewer rows.
	batchBytes = 4 << 20
)

// Request asks for one table at one instant.
type Request struct {
	Table schema.TableID
	// At is the instant; any offset resolves down to a commit.
	At changelog.Offset
	// Columns are the names of the columns wanted, in the order wanted; nil is all.
	Columns []string
	// Where keeps matching rows only; nil keeps all.
	Where *Predicate

	only *rowMap       // when set, only these keys, of the version in force; rows of others may come too
	as   *schema.Table // when set, the version that the rows are converted to and ordered by
}

// Options say how tables are rebuilt. The zero value is usable.
type Options struct {
	// MemoryBytes is how much is held in memory before spilling; DefaultMemoryBytes when zero.
	MemoryBytes int64
	// SpillDir is where temporary files go; the system's folder for them when empty.
	SpillDir string
	// BatchRows is the most rows of a batch; DefaultBatchRows when zero.
	BatchRows int
	// Ordered emits each request's rows in the order of their keys' bytes (of whole rows, where there is no key).
	Ordered bool
	// Progress, when set, is called now and then with the part of the log that has been read, 0 to 1.
	Progress func(part float64)

	keepKeys bool // batches carry the keys that they are ordered by
}

func (o *Options) memory() int64 {
	if o.MemoryBytes <= 0 {
		return DefaultMemoryBytes
	}
	return o.MemoryBytes
}

func (o *Options) batchRows() int {
	if o.BatchRows <= 0 {
		return DefaultBatchRows
	}
	return o.BatchRows
}

// Batch is some rows of one request.
type Batch struct {
	// Request is the index of the request.
	Request int
	// Table is the shape of the rows: the version in force at the instant, projected to the columns asked for.
	Table *schema.Table

	arena   []byte
	ends    []int
	keys    []byte
	keyEnds []int
}

// Len is the number of rows.
func (b *Batch) Len() int { return len(b.ends) }

// Raw is the packed bytes of row i, shared.
func (b *Batch) Raw(i int) []byte {
	start := 0
	if i > 0 {
		start = b.ends[i-1]
	}
	return b.arena[start:b.ends[i]]
}

// Row is row i. It shares the batch's memory.
func (b *Batch) Row(i int) schema.Row {
	r, _ := b.Table.Layout().Row(b.Raw(i)) // it was packed by this package in this layout
	return r
}

// key is the key of row i, when the batch carries keys.
func (b *Batch) key(i int) []byte {
	start := 0
	if i > 0 {
		start = b.keyEnds[i-1]
	}
	return b.keys[start:b.keyEnds[i]]
}

// Tables rebuilds the requested tables in one pass over the log and calls emit with their rows, in batches. The rows are the same
// however much memory there is; their order is one that only Ordered promises. A batch is valid until emit returns; batches of
// different requests may come interleaved. A request whose table the log cannot answer for is an *UnanswerableError.
func Tables(ctx context.Context, log changelog.Log, requests []Request, o Options, emit func(*Batch) error) (err error) {
	p := &pass{log: log, options: &o}
	lively := func(b *Batch) error { // the last of the log may be long past when the last rows are handed over
		if err := ctx.Err(); err != nil {
			return err
		}
		return emit(b)
	}
	for i := range requests {
		if err := p.add(ctx, i, &requests[i], lively); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, p.close()) }()
	return p.run(ctx)
}

// Shape is the table at the instant, projected to the columns: the shape of the rows that Tables emits for such a request.
func Shape(log changelog.Log, r Request) (*schema.Table, error) {
	t, ok := log.Catalog().TableAt(r.Table, r.At)
	if !ok {
		return nil, &UnanswerableError{Moment: AtOffset(r.At).String(), Why: unknownTable(r.Table)}
	}
	return project(t.Table, r.Columns)
}

// pass is one reading of the log for several replays.
type pass struct {
	log     changelog.Log
	options *Options
	replays []*replay
	byTable map[schema.TableID][]*replay
}

// add plans a request. Requests of one table that begin with the same copy, and ask for the same rows, share a replay.
func (p *pass) add(ctx context.Context, index int, q *Request, emit func(*Batch) error) error {
	t, err := answerable(ctx, p.log, q.Table, q.At)
	if err != nil {
		return err
	}
	final, retype := t.Table, q.as != nil
	if retype {
		final = q.as
	}
	shape, err := project(final, q.Columns)
	if err != nil {
		return err
	}
	catalog := p.log.Catalog()
	out := &output{
		at: q.At, options: p.options, emit: emit, final: final, batch: Batch{Request: index, Table: shape},
		shape: converters{to: shape, versions: catalog, retype: retype}, whole: converters{to: final, versions: catalog, retype: retype},
	}
	r := p.replay(q, &t)
	at, _ := slices.BinarySearchFunc(r.outs, out, func(a, b *output) int { return cmp.Compare(a.at, b.at) })
	r.outs = slices.Insert(r.outs, at, out)
	return nil
}

func (p *pass) replay(q *Request, t *changelog.TableAt) *replay {
	for _, r := range p.byTable[q.Table] {
		if r.from == t.From && r.where == q.Where && r.only == q.only {
			return r
		}
	}
	id := p.log.ID()
	r := &replay{
		table: q.Table, from: t.From, where: q.Where, only: q.only, onlyOf: t.Table, options: p.options,
		seed: binary.LittleEndian.Uint64(id[:]), rekeyed: converters{versions: p.log.Catalog()},
	}
	r.begin()
	if p.byTable == nil {
		p.byTable = map[schema.TableID][]*replay{}
	}
	p.byTable[q.Table] = append(p.byTable[q.Table], r)
	p.replays = append(p.replays, r)
	return r
}

// run reads the log from the first copy needed to the last instant asked for.
func (p *pass) run(ctx context.Context) error {
	if len(p.replays) == 0 {
		return nil
	}
	from, to, tables := p.bounds()
	cursor, err := p.log.Cursor(changelog.CursorOptions{From: from, To: to, Tables: tables})
	if err != nil {
		return fmt.Errorf("open cursor: %w", err)
	}
	report := progressOf(cursor, p.options.Progress)
	next := p.nextAt()
	err = readUnits(ctx, cursor, func(u *changelog.Unit) error {
		report()
		if commit := u.Meta.Commit(); commit > next {
			if err := p.reach(ctx, commit); err != nil {
				return err
			}
			next = p.nextAt()
		}
		return p.unit(ctx, u)
	})
	if err != nil {
		return err
	}
	return p.reach(ctx, endOfLog)
}

// endOfLog is past every offset.
const endOfLog = changelog.Offset(1<<64 - 1)

func (p *pass) bounds() (from, to changelog.Offset, tables *changelog.TableSet) {
	from, tables = endOfLog, changelog.NewTableSet()
	for _, r := range p.replays {
		from = min(from, r.from)
		to = max(to, r.outs[len(r.outs)-1].at)
		tables.Add(r.table)
	}
	return from, to, tables
}

// nextAt is the next instant that a request waits for.
func (p *pass) nextAt() changelog.Offset {
	next := endOfLog
	for _, r := range p.replays {
		if !r.done() {
			next = min(next, r.outs[r.next].at)
		}
	}
	return next
}

func (p *pass) reach(ctx context.Context, commit changelog.Offset) error {
	for _, r := range p.replays {
		if err := r.reach(ctx, commit); err != nil {
			return err
		}
	}
	return nil
}

// memoryEvery is how many changes are applied between two looks at the memory held.
const memoryEvery = 1 << 10

// unit applies the changes of one unit.
func (p *pass) unit(ctx context.Context, u *changelog.Unit) error {
	commit := u.Meta.Commit()
	var c changelog.Change
	for n := 1; ; n++ {
		ok, err := u.Next(&c)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if !ok {
			return p.bound()
		}
		if c.Table == nil {
			continue
		}
		for _, r := range p.byTable[c.Table.ID] {
			if commit < r.from || r.done() {
				continue
			}
			if err := r.apply(ctx, &c); err != nil {
				return err
			}
		}
		if n%memoryEvery == 0 {
			if err := errors.Join(ctx.Err(), p.bound()); err != nil {
				return err
			}
		}
	}
}

// bound spills the largest stores until the rest fits the memory.
func (p *pass) bound() error {
	for {
		var total int64
		var largest *rowStore
		for _, r := range p.replays {
			m := r.store.memory()
			total += m
			if !r.store.spilled() && (largest == nil || m > largest.memory()) {
				largest = r.store
			}
		}
		if total <= p.options.memory() || largest == nil || largest.memory() == 0 {
			return nil
		}
		if err := largest.spill(); err != nil {
			return err
		}
	}
}

func (p *pass) close() error {
	var err error
	for _, r := range p.replays {
		err = errors.Join(err, r.close())
	}
	return err
}

// progressEvery is how many units pass between two reports.
const progressEvery = 1 << 10

// progressOf returns a function, to be called for every unit, that reports now and then.
func progressOf(c changelog.Cursor, report func(float64)) func() {
	reader, ok := c.(changelog.Progressor)
	if report == nil || !ok {
		return func() {}
	}
	units := 0
	return func() {
		if units++; units%progressEvery == 0 {
			report(reader.Progress())
		}
	}
}
