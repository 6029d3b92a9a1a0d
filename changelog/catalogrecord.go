package changelog

import (
	"encoding/binary"
	"fmt"

	"cdc/schema"
)

// Kinds of catalog records. Stored; do not change them.
const (
	recordSource     = 1
	recordTable      = 2
	recordTableState = 3
	recordTag        = 4
	recordStop       = 5
	recordDecision   = 6
	recordReread     = 7
)

// SourceInfo introduces a source, or a new epoch of it.
type SourceInfo struct {
	ID    SourceID
	Epoch Epoch
	// Name is unique in the log; Kind is "postgres" or "mysql".
	Name, Kind string
	// Identity is what the source checks on every connect, in its own words (Postgres: system id, timeline, slot, publication).
	Identity []Fact
}

// Fact is one named text.
type Fact struct{ Name, Value string }

// Find is the value of the named fact of the identity, empty when there is none.
func (s *SourceInfo) Find(name string) string {
	for _, f := range s.Identity {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// TableStateKind says what the log knows of a table from a moment on. The numbers are stored; do not change them.
type TableStateKind uint8

// States of a table. Whatever the state, the schema versions of the table stay.
const (
	// TableCopied: the unit holds the whole table as changes of op r; what the log held of it before is replaced.
	TableCopied TableStateKind = 1
	// TableUntracked: the table exists at the source and is not captured, from here on.
	TableUntracked TableStateKind = 2
	// TableDropped: the source dropped the table.
	TableDropped TableStateKind = 3
	// TableRewritten: the source changed stored rows without sending them; the log cannot answer until the next copy.
	TableRewritten TableStateKind = 4
	// TableEmpty: the table was made while captured and starts empty.
	TableEmpty TableStateKind = 5
	// TableCopying: the table is being copied in chunks, among its changes. Without a cursor the copy begins here, and what the log
	// held of the table before is replaced by what follows; with one, the unit holds a chunk. Until TableComplete the log cannot
	// answer.
	TableCopying TableStateKind = 6
	// TableComplete: the unit holds the last chunk. The chunks and the changes since the copy's beginning make the whole table.
	TableComplete TableStateKind = 7
	// TableShape changes no state. Its detail says, in the source's own words, how the source stores the table: what a later look
	// differs in may have changed stored rows without sending them. Only the newest one counts.
	TableShape TableStateKind = 8
)

// Known reports whether the log can answer for the table from such a state on.
func (k TableStateKind) Known() bool {
	return k == TableCopied || k == TableEmpty || k == TableComplete
}

// Ended reports whether the table is not captured any more from such a state on.
func (k TableStateKind) Ended() bool { return k == TableUntracked || k == TableDropped }

// TableState records a table's state from a unit's commit on.
type TableState struct {
	Table  schema.TableID
	State  TableStateKind
	Detail string
	// Cursor is how far a copy in chunks has come, in the words of its source; of TableCopying only.
	Cursor string
}

// Replaces reports whether what the log held of the table before is gone with the state.
func (s *TableState) Replaces() bool {
	return s.State == TableCopied || s.State == TableCopying && s.Cursor == ""
}

// Tag names an offset.
type Tag struct {
	Name   string
	Offset Offset
}

// StopKind is the name of a stop: why a source, or one table, goes no further until an operator decides. See G2.
type StopKind string

// Named stops.
const (
	StopGap      StopKind = "GAP"
	StopDiverged StopKind = "DIVERGED"
	StopSchema   StopKind = "SCHEMA"
	StopCorrupt  StopKind = "CORRUPT"
	StopFenced   StopKind = "FENCED"
)

// Stop records a named stop.
type Stop struct {
	Kind StopKind
	// Table is zero when the whole source stops.
	Table    schema.TableID
	Position Position
	// What happened and where, and what to do about it.
	Detail, Remedy string
	At             Micros
}

// ActionReread is the action of a decision to read some rows of a table again: its detail is the predicate that chooses them, in the
// SQL of the source.
const ActionReread = "reread"

// Decision records what an operator decided about a stop or a table, or that a source was dropped.
type Decision struct {
	// Action is "recopy", "accept-gap", "drop" or ActionReread.
	Action string
	Table  schema.TableID
	Detail string
	At     Micros
}

// RereadStage says how far a reread is. The numbers are stored; do not change them.
type RereadStage uint8

// Stages of a reread. One without a record has not begun.
const (
	// RereadUnderWay: the unit holds a chunk of it.
	RereadUnderWay RereadStage = 1
	// RereadComplete: the unit holds the last chunk.
	RereadComplete RereadStage = 2
	// RereadEnded: it cannot be completed, for the reason in the detail.
	RereadEnded RereadStage = 3
)

// Over reports whether nothing more comes of the reread.
func (s RereadStage) Over() bool { return s >= RereadComplete }

// Reread records how far a reread has come: the unit's rows of op r replace those of the same key, and all others stay. It changes no
// state of the table.
type Reread struct {
	Table schema.TableID
	// Asked is the offset of the decision that asked for it, which names it.
	Asked Offset
	Stage RereadStage
	// Cursor is how far it has come, in the words of its source, while it is under way.
	Cursor string
	Detail string
}

// AddSource adds a record that introduces a source or its next epoch.
func (b *UnitBuilder) AddSource(s SourceInfo) {
	e := encoder{}
	e.uint(uint64(s.ID))
	e.uint(uint64(s.Epoch))
	e.text(s.Name)
	e.text(s.Kind)
	e.uint(uint64(len(s.Identity)))
	for _, f := range s.Identity {
		e.text(f.Name)
		e.text(f.Value)
	}
	b.catalogRecord(recordSource, e.b)
}

// AddTable adds a registered table version. It is in force from the unit's commit on.
func (b *UnitBuilder) AddTable(t *schema.Table) {
	b.catalogRecord(recordTable, schema.AppendTable(nil, t))
}

// AddTableState adds a table's state from the unit's commit on.
func (b *UnitBuilder) AddTableState(s TableState) {
	e := encoder{}
	e.uint(uint64(s.Table))
	e.uint(uint64(s.State))
	e.text(s.Detail)
	if s.State == TableCopying {
		e.text(s.Cursor)
	}
	b.catalogRecord(recordTableState, e.b)
}

// AddTag adds a tag. A later tag of the same name replaces it.
func (b *UnitBuilder) AddTag(t Tag) {
	e := encoder{}
	e.text(t.Name)
	e.uint(uint64(t.Offset))
	b.catalogRecord(recordTag, e.b)
}

// AddStop adds a named stop of the unit's source.
func (b *UnitBuilder) AddStop(s Stop) {
	e := encoder{}
	e.text(string(s.Kind))
	e.uint(uint64(s.Table))
	e.text(string(s.Position))
	e.text(s.Detail)
	e.text(s.Remedy)
	e.uint(uint64(s.At))
	b.catalogRecord(recordStop, e.b)
}

// AddDecision adds an operator's decision about the unit's source.
func (b *UnitBuilder) AddDecision(d Decision) {
	e := encoder{}
	e.text(d.Action)
	e.uint(uint64(d.Table))
	e.text(d.Detail)
	e.uint(uint64(d.At))
	b.catalogRecord(recordDecision, e.b)
}

// AddReread adds how far a reread has come.
func (b *UnitBuilder) AddReread(r Reread) {
	e := encoder{}
	e.uint(uint64(r.Table))
	e.uint(uint64(r.Asked))
	e.uint(uint64(r.Stage))
	e.text(r.Cursor)
	e.text(r.Detail)
	b.catalogRecord(recordReread, e.b)
}

func decodeSource(b []byte) (s SourceInfo, err error) {
	d := decoder{b: b}
	s.ID, s.Epoch = SourceID(d.uint(1<<16-1)), Epoch(d.uint(1<<32-1))
	s.Name, s.Kind = d.text(), d.text()
	for n := d.uint(1 << 10); n > 0 && d.err == nil; n-- {
		s.Identity = append(s.Identity, Fact{Name: d.text(), Value: d.text()})
	}
	return s, d.end()
}

func decodeTableState(b []byte) (s TableState, err error) {
	d := decoder{b: b}
	s.Table, s.State, s.Detail = schema.TableID(d.uint(1<<32-1)), TableStateKind(d.uint(255)), d.text()
	if s.State == TableCopying {
		s.Cursor = d.text()
	}
	return s, d.end()
}

func decodeTag(b []byte) (t Tag, err error) {
	d := decoder{b: b}
	t.Name, t.Offset = d.text(), Offset(d.uint(1<<64-1))
	return t, d.end()
}

func decodeStop(b []byte) (s Stop, err error) {
	d := decoder{b: b}
	s.Kind, s.Table, s.Position = StopKind(d.text()), schema.TableID(d.uint(1<<32-1)), Position(d.text())
	s.Detail, s.Remedy, s.At = d.text(), d.text(), Micros(d.uint(1<<64-1))
	return s, d.end()
}

func decodeDecision(b []byte) (s Decision, err error) {
	d := decoder{b: b}
	s.Action, s.Table, s.Detail = d.text(), schema.TableID(d.uint(1<<32-1)), d.text()
	s.At = Micros(d.uint(1<<64 - 1))
	return s, d.end()
}

func decodeReread(b []byte) (r Reread, err error) {
	d := decoder{b: b}
	r.Table, r.Asked, r.Stage = schema.TableID(d.uint(1<<32-1)), Offset(d.uint(1<<64-1)), RereadStage(d.uint(255))
	r.Cursor, r.Detail = d.text(), d.text()
	return r, d.end()
}

// encoder appends the fields of a catalog record: numbers as uvarints, texts with their length before them.
type encoder struct{ b []byte }

func (e *encoder) uint(v uint64) { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) text(s string) { e.b = append(binary.AppendUvarint(e.b, uint64(len(s))), s...) }

// decoder reads what encoder wrote; its first error sticks.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) uint(most uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if d.err == nil && (n <= 0 || v > most) {
		d.err = fmt.Errorf("%w: number in a catalog record", ErrUnit)
	}
	if d.err != nil {
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	if d.err != nil {
		return nil
	}
	head, rest, err := cutBytes(d.b)
	d.b, d.err = rest, err
	return head
}

func (d *decoder) text() string { return string(d.bytes()) }

func (d *decoder) end() error {
	if d.err == nil && len(d.b) != 0 {
		d.err = fmt.Errorf("%w: %d bytes after a catalog record", ErrUnit, len(d.b))
	}
	return d.err
}

// AsTableState reads a record of a catalog section; ok is false when it is of another kind or cannot be read.
func AsTableState(record []byte) (s TableState, ok bool) {
	if record[0] != recordTableState {
		return s, false
	}
	s, err := decodeTableState(recordPayload(record))
	return s, err == nil
}
