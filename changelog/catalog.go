package changelog

import (
	"fmt"
	"slices"
	"sync"

	"cdc/schema"
)

// Catalog is what the log's catalog records add up to: sources, table versions, tags and stops, each with the instant from which
// it holds, so that it answers for any offset. It also hands out the numbers of sources, tables and versions. It is safe for
// concurrent use; what it returns is shared and immutable.
type Catalog struct {
	mu        sync.RWMutex
	versions  []*schema.Table // by VersionID; a version may be registered and not be in the log yet
	logged    map[schema.VersionID]bool
	lastTable schema.TableID
	newest    map[schema.TableID]*schema.Table // the newest version
	byNumber  map[tableNumber]*schema.Table    // newest versions only: what a table was once called may be another's by now
	byName    map[tableName]*schema.Table
	epochs    map[schema.TableID]Epoch // the last in which the source was seen to have the table
	tables    map[schema.TableID]*tableHistory
	order     []schema.TableID
	sources   []*sourceHistory // by SourceID-1
	tags      []dated[Tag]
	stops     []StopRecord
	decided   []DecisionRecord
	rereads   map[Offset]*rereadState // by the decision that asked
	events    []catalogEvent
}

// dated is a value that holds from an instant on.
type dated[T any] struct {
	at Offset
	v  T
}

type tableHistory struct {
	versions []dated[*schema.Table]
	states   []dated[TableState]
	// shape is the detail of the newest TableShape.
	shape string
	// shapeEvent and chunkEvent are one more than the indexes in Catalog.events of the newest shape and, while the last state is a
	// chunk's, of that.
	shapeEvent, chunkEvent int
}

// rereadState is the newest record of a reread.
type rereadState struct {
	last dated[Reread]
	// event is one more than the record's index in Catalog.events.
	event int
}

type sourceHistory struct {
	epochs []dated[SourceInfo]
	last   SourceProgress
}

// catalogEvent keeps a record as it was written, so that a dictionary can be written again.
type catalogEvent struct {
	at     Offset
	source SourceID
	epoch  Epoch
	record []byte
}

// SourceProgress is how far the log holds a source.
type SourceProgress struct {
	// Epoch and Position of the source's last unit, Commit its instant, Clock the source's clock after it.
	Epoch    Epoch
	Position Position
	Commit   Offset
	Clock    Micros
}

// StopRecord is a named stop with its place in the log.
type StopRecord struct {
	Stop
	Source SourceID
	Epoch  Epoch
	Offset Offset
}

// DecisionRecord is a decision with its place in the log.
type DecisionRecord struct {
	Decision
	Source SourceID
	Epoch  Epoch
	Offset Offset
}

// RereadRecord is a reread that an operator has asked for.
type RereadRecord struct {
	// Asked is the decision; its detail is the predicate.
	Asked DecisionRecord
	// Last is the newest record, Since its instant; both are zero when the reread has not begun.
	Last  Reread
	Since Offset
}

// TableAt is a table as the log knows it at an instant.
type TableAt struct {
	// Table is the version in force.
	Table *schema.Table
	// State is the last state; State.State is zero when nothing has been recorded.
	State TableState
	// StateSince is the instant of the state; KnownFrom that of the last copy (or creation) at or before the instant asked
	// about, zero when there is none: the log cannot answer for the table before it.
	StateSince, KnownFrom Offset
	// From is the instant from which the log must be read to rebuild the table: KnownFrom, or where a copy in chunks that was
	// complete there had begun.
	From Offset
	// Shape is how the source stored the table when the log last heard of it, whatever the instant asked about; empty when it never
	// has.
	Shape string
}

// Answerable reports whether the table's rows at the instant follow from the log.
func (t *TableAt) Answerable() bool {
	return t.KnownFrom != 0 && t.State.State.Known()
}

// NewCatalog makes an empty catalog.
func NewCatalog() *Catalog {
	return &Catalog{
		versions: make([]*schema.Table, 1), logged: map[schema.VersionID]bool{}, newest: map[schema.TableID]*schema.Table{},
		byNumber: map[tableNumber]*schema.Table{}, byName: map[tableName]*schema.Table{}, epochs: map[schema.TableID]Epoch{},
		tables: map[schema.TableID]*tableHistory{}, rereads: map[Offset]*rereadState{},
	}
}

// Version is the registered table version, or nil.
func (c *Catalog) Version(id schema.VersionID) *schema.Table {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if int(id) >= len(c.versions) {
		return nil
	}
	return c.versions[id]
}

// Versions are all registered table versions, by number.
func (c *Catalog) Versions() []*schema.Table {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.DeleteFunc(slices.Clone(c.versions), func(t *schema.Table) bool { return t == nil })
}

// Register gives t its table and version numbers and returns the registered version, which is an earlier one when nothing has
// changed since. A table is the same table as before when the source's own number of it is, within an epoch, or its name is,
// across epochs, unless the source had dropped it. t must be prepared; it is owned by the catalog afterwards. The version reaches
// the log with the first unit that AddTable puts it into: see Logged.
func (c *Catalog) Register(epoch Epoch, t *schema.Table) *schema.Table {
	c.mu.Lock()
	defer c.mu.Unlock()
	latest := c.sameTable(epoch, t)
	if latest == nil {
		t.ID = c.lastTable + 1
	} else if t.ID = latest.ID; latest.SameShape(t) {
		c.seen(t.ID, epoch)
		return latest
	}
	t.Version = schema.VersionID(len(c.versions))
	c.keep(epoch, t)
	return t
}

// Logged reports whether a unit that holds the version has been appended.
func (c *Catalog) Logged(id schema.VersionID) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.logged[id]
}

// sameTable is the newest version of the table that t is a version of, or nil. Registered versions that never reached the log
// count, as a transaction that is being built may use them.
func (c *Catalog) sameTable(epoch Epoch, t *schema.Table) *schema.Table {
	if v := c.byNumber[numberOf(t)]; v != nil && (v.Schema == t.Schema && v.Name == t.Name || c.epochs[v.ID] == epoch) {
		return v
	}
	if v := c.byName[nameOf(t)]; v != nil && c.epochs[v.ID] != epoch && !c.dropped(v.ID) {
		return v
	}
	return nil
}

// dropped reports whether the source had dropped the table when it was last heard of.
func (c *Catalog) dropped(id schema.TableID) bool {
	h := c.tables[id]
	return h != nil && len(h.states) > 0 && h.states[len(h.states)-1].v.State == TableDropped
}

// keep adds a version to the indexes.
func (c *Catalog) keep(epoch Epoch, t *schema.Table) {
	for int(t.Version) >= len(c.versions) {
		c.versions = append(c.versions, nil)
	}
	c.versions[t.Version] = t
	if old := c.newest[t.ID]; old != nil {
		if v := c.byNumber[numberOf(old)]; v != nil && v.ID == t.ID {
			delete(c.byNumber, numberOf(old))
		}
		if v := c.byName[nameOf(old)]; v != nil && v.ID == t.ID {
			delete(c.byName, nameOf(old))
		}
	}
	c.newest[t.ID], c.byNumber[numberOf(t)], c.byName[nameOf(t)] = t, t, t
	c.lastTable = max(c.lastTable, t.ID)
	c.seen(t.ID, epoch)
}

// seen notes that the source has the table in the epoch.
func (c *Catalog) seen(id schema.TableID, epoch Epoch) { c.epochs[id] = max(c.epochs[id], epoch) }

// tableNumber and tableName are what a source calls a table.
type (
	tableNumber struct {
		source string
		number uint32
	}
	tableName struct{ source, schema, name string }
)

func numberOf(t *schema.Table) tableNumber { return tableNumber{t.Source, t.SourceTable} }
func nameOf(t *schema.Table) tableName     { return tableName{t.Source, t.Schema, t.Name} }

// NextSource is the number of the source with that name, or the next free one.
func (c *Catalog) NextSource(name string) SourceID {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if s := c.sourceNamed(name); s != nil {
		return s.epochs[0].v.ID
	}
	return SourceID(len(c.sources) + 1)
}

// Source is the named source in its newest epoch.
func (c *Catalog) Source(name string) (SourceInfo, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if s := c.sourceNamed(name); s != nil {
		return s.epochs[len(s.epochs)-1].v, true
	}
	return SourceInfo{}, false
}

// Sources are all sources in their newest epochs, by number.
func (c *Catalog) Sources() []SourceInfo {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var all []SourceInfo
	for _, s := range c.sources {
		if len(s.epochs) > 0 {
			all = append(all, s.epochs[len(s.epochs)-1].v)
		}
	}
	return all
}

// Progress is how far the log holds the source, appended units that are not durable yet included.
func (c *Catalog) Progress(id SourceID) SourceProgress {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if s := c.source(id); s != nil {
		return s.last
	}
	return SourceProgress{}
}

// EpochStarts are the instants at which the source's epochs began, in order.
func (c *Catalog) EpochStarts(id SourceID) []SourceEpoch {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s := c.source(id)
	if s == nil {
		return nil
	}
	starts := make([]SourceEpoch, len(s.epochs))
	for i, e := range s.epochs {
		starts[i] = SourceEpoch{SourceInfo: e.v, From: e.at}
	}
	return starts
}

// SourceEpoch is one epoch of a source and the instant from which it holds.
type SourceEpoch struct {
	SourceInfo
	From Offset
}

func (c *Catalog) source(id SourceID) *sourceHistory {
	if id == 0 || int(id) > len(c.sources) {
		return nil
	}
	return c.sources[id-1]
}

func (c *Catalog) sourceNamed(name string) *sourceHistory {
	for _, s := range c.sources {
		if len(s.epochs) > 0 && s.epochs[0].v.Name == name {
			return s
		}
	}
	return nil
}

// TablesAt are the tables that the log knows at the instant, dropped ones included, in order of their numbers.
func (c *Catalog) TablesAt(n Offset) []TableAt {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var all []TableAt
	for _, id := range c.order {
		if t, ok := c.tables[id].at(n); ok {
			all = append(all, t)
		}
	}
	return all
}

// TableAt is the table at the instant; false when the log did not know it yet.
func (c *Catalog) TableAt(id schema.TableID, n Offset) (TableAt, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	h := c.tables[id]
	if h == nil {
		return TableAt{}, false
	}
	return h.at(n)
}

func (h *tableHistory) at(n Offset) (t TableAt, ok bool) {
	version, ok := latest(h.versions, n)
	if !ok {
		return TableAt{}, false
	}
	t.Table, t.Shape = version.v, h.shape
	var began Offset // of the copy in chunks
	for _, s := range h.states {
		if s.at > n {
			break
		}
		if s.v.Replaces() {
			began = s.at
		}
		t.State, t.StateSince = s.v, s.at
		if s.v.State.Known() {
			t.KnownFrom, t.From = s.at, s.at
		}
		if s.v.State == TableComplete {
			t.From = began
		}
	}
	return t, true
}

// latest is the last value at or before the instant.
func latest[T any](values []dated[T], n Offset) (dated[T], bool) {
	for i := len(values) - 1; i >= 0; i-- {
		if values[i].at <= n {
			return values[i], true
		}
	}
	return dated[T]{}, false
}

// Tag is the tag's offset as the log says at its end.
func (c *Catalog) Tag(name string) (Offset, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for i := len(c.tags) - 1; i >= 0; i-- {
		if c.tags[i].v.Name == name {
			return c.tags[i].v.Offset, true
		}
	}
	return 0, false
}

// Tags are all tags, a replaced one left out, in the order in which they were made.
func (c *Catalog) Tags() []Tag {
	c.mu.RLock()
	defer c.mu.RUnlock()
	newest := map[string]int{}
	for i, t := range c.tags {
		newest[t.v.Name] = i
	}
	var all []Tag
	for i, t := range c.tags {
		if newest[t.v.Name] == i {
			all = append(all, t.v)
		}
	}
	return all
}

// Stops are all named stops ever recorded, in order.
func (c *Catalog) Stops() []StopRecord {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return append([]StopRecord(nil), c.stops...)
}

// OpenStop is the last stop of the whole source, if no decision and no new epoch has ended it.
func (c *Catalog) OpenStop(id SourceID) (StopRecord, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for i := len(c.stops) - 1; i >= 0; i-- {
		s := c.stops[i]
		if s.Source != id || s.Table != 0 {
			continue
		}
		if source := c.source(id); source != nil && source.last.Epoch > s.Epoch {
			return StopRecord{}, false
		}
		for _, d := range c.decided {
			if d.Source == id && d.Offset > s.Offset && d.Table == 0 {
				return StopRecord{}, false
			}
		}
		return s, true
	}
	return StopRecord{}, false
}

// Decisions are all decisions ever recorded, in order.
func (c *Catalog) Decisions() []DecisionRecord {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return append([]DecisionRecord(nil), c.decided...)
}

// Rereads are all rereads ever asked for, in order.
func (c *Catalog) Rereads() []RereadRecord {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var all []RereadRecord
	for _, d := range c.decided {
		if d.Action != ActionReread || d.Table == 0 {
			continue
		}
		r := RereadRecord{Asked: d}
		if state := c.rereads[d.Offset]; state != nil {
			r.Last, r.Since = state.last.v, state.last.at
		}
		all = append(all, r)
	}
	return all
}

// Apply adds what a unit says: its catalog records and its source's progress. Units must be applied in log order. It is for
// implementations of Log; a record that cannot be read is an error and leaves the catalog as it was.
func (c *Catalog) Apply(m *UnitMeta, records func(func(n Offset, record []byte) error) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.check(records); err != nil {
		return err
	}
	at := m.Commit()
	err := records(func(_ Offset, record []byte) error {
		return c.add(catalogEvent{at: at, source: m.Source, epoch: m.Epoch, record: append([]byte(nil), record...)})
	})
	if err != nil {
		return err
	}
	if s := c.source(m.Source); s != nil && m.Kind != UnitControl {
		s.last = SourceProgress{Epoch: m.Epoch, Position: m.Position, Commit: at, Clock: m.Clock}
	}
	return nil
}

// add applies one record.
func (c *Catalog) add(e catalogEvent) error {
	payload := recordPayload(e.record)
	var err error
	switch e.record[0] {
	case recordSource:
		err = c.addSource(e, payload)
	case recordTable:
		err = c.addTable(e, payload)
	case recordTableState:
		var s TableState
		if s, err = decodeTableState(payload); err == nil {
			c.addTableState(e, s)
			return nil
		}
	case recordTag:
		var t Tag
		if t, err = decodeTag(payload); err == nil {
			c.tags = append(c.tags, dated[Tag]{e.at, t})
		}
	case recordStop:
		var s Stop
		if s, err = decodeStop(payload); err == nil {
			c.stops = append(c.stops, StopRecord{Stop: s, Source: e.source, Epoch: e.epoch, Offset: e.at})
		}
	case recordDecision:
		var d Decision
		if d, err = decodeDecision(payload); err == nil {
			c.decided = append(c.decided, DecisionRecord{Decision: d, Source: e.source, Epoch: e.epoch, Offset: e.at})
		}
	case recordReread:
		var r Reread
		if r, err = decodeReread(payload); err == nil {
			c.addReread(e, r)
			return nil
		}
	default:
		err = fmt.Errorf("%w: unknown catalog record kind %d (written by a newer version?)", ErrUnit, e.record[0])
	}
	if err != nil {
		return fmt.Errorf("read catalog record at offset %d: %w", e.at, err)
	}
	c.events = append(c.events, e)
	return nil
}

func (c *Catalog) addSource(e catalogEvent, payload []byte) error {
	info, err := decodeSource(payload)
	if err != nil {
		return err
	}
	if info.ID == 0 || int(info.ID) > len(c.sources)+1 {
		return fmt.Errorf("%w: source number %d after %d sources", ErrUnit, info.ID, len(c.sources))
	}
	if int(info.ID) == len(c.sources)+1 {
		c.sources = append(c.sources, &sourceHistory{})
	}
	s := c.sources[info.ID-1]
	s.epochs = append(s.epochs, dated[SourceInfo]{e.at, info})
	s.last.Epoch = info.Epoch
	if len(s.epochs) > 1 {
		s.last.Position = "" // a new epoch starts from its own copy
	}
	return nil
}

func (c *Catalog) addTable(e catalogEvent, payload []byte) error {
	t, err := schema.DecodeTable(payload)
	if err != nil {
		return err
	}
	if t.Version > maxVersions {
		return fmt.Errorf("%w: table version %d", ErrUnit, t.Version)
	}
	if int(t.Version) >= len(c.versions) || c.versions[t.Version] == nil {
		c.keep(e.epoch, t)
	}
	c.logged[t.Version] = true
	h := c.history(t.ID)
	h.versions = append(h.versions, dated[*schema.Table]{e.at, c.versions[t.Version]})
	return nil
}

// addTableState adds a state. Of a table's shapes, and of the chunks of one copy, only the newest counts: it takes the place of the
// one before it, so that dictionaries do not grow with each.
func (c *Catalog) addTableState(e catalogEvent, s TableState) {
	c.seen(s.Table, e.epoch)
	h := c.history(s.Table)
	if s.State == TableShape {
		h.shape = s.Detail
		c.keepNewest(&h.shapeEvent, e)
		return
	}
	chunk := s.State == TableCopying && s.Cursor != ""
	if !chunk || h.chunkEvent == 0 {
		h.states = append(h.states, dated[TableState]{})
		h.chunkEvent = 0
	}
	h.states[len(h.states)-1] = dated[TableState]{e.at, s}
	if chunk {
		c.keepNewest(&h.chunkEvent, e)
	} else {
		c.events = append(c.events, e)
	}
}

// addReread adds how far a reread has come. Only the newest record of each counts.
func (c *Catalog) addReread(e catalogEvent, r Reread) {
	state := c.rereads[r.Asked]
	if state == nil {
		state = &rereadState{}
		c.rereads[r.Asked] = state
	}
	state.last = dated[Reread]{e.at, r}
	c.keepNewest(&state.event, e)
}

// keepNewest puts an event where the last of its kind is. place is one more than the index of that, 0 when there is none.
func (c *Catalog) keepNewest(place *int, e catalogEvent) {
	if *place == 0 {
		c.events = append(c.events, e)
		*place = len(c.events)
		return
	}
	c.events[*place-1] = e
}

func (c *Catalog) history(id schema.TableID) *tableHistory {
	h := c.tables[id]
	if h == nil {
		h = &tableHistory{}
		c.tables[id] = h
		c.order = append(c.order, id)
	}
	return h
}

// AppendDictionary encodes the catalog and appends it to dst, so that a reader can begin at any segment.
func (c *Catalog) AppendDictionary(dst []byte) []byte {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e := encoder{b: dst}
	e.uint(dictionaryFormat)
	e.uint(uint64(len(c.events)))
	for _, event := range c.events {
		e.uint(uint64(event.at))
		e.uint(uint64(event.source))
		e.uint(uint64(event.epoch))
		e.text(string(event.record))
	}
	e.uint(uint64(len(c.sources)))
	for _, s := range c.sources {
		e.uint(uint64(s.last.Epoch))
		e.text(string(s.last.Position))
		e.uint(uint64(s.last.Commit))
		e.uint(uint64(s.last.Clock))
	}
	return e.b
}

// dictionaryFormat is the format of a dictionary. Stored; a change of the format takes the next number.
const dictionaryFormat = 1

// maxVersions bounds the number of a table version, so that a damaged one cannot claim memory.
const maxVersions = 1 << 24

// maxDictionaryEvents bounds what a dictionary may claim to hold.
const maxDictionaryEvents = 1 << 26

// LoadDictionary reads what AppendDictionary wrote.
func LoadDictionary(b []byte) (*Catalog, error) {
	c, d := NewCatalog(), decoder{b: b}
	if format := d.uint(1<<64 - 1); d.err == nil && format != dictionaryFormat {
		return nil, fmt.Errorf("%w: dictionary format %d, this build reads %d", ErrUnit, format, dictionaryFormat)
	}
	for n := d.uint(maxDictionaryEvents); n > 0 && d.err == nil; n-- {
		e := catalogEvent{at: Offset(d.uint(1<<64 - 1)), source: SourceID(d.uint(1<<16 - 1)), epoch: Epoch(d.uint(1<<32 - 1))}
		e.record = append([]byte(nil), d.bytes()...)
		if d.err != nil {
			break
		}
		if size, err := recordSize(e.record); err != nil || size != len(e.record) {
			return nil, fmt.Errorf("%w: record in the dictionary", ErrUnit)
		}
		sources := len(c.sources)
		err := checkRecord(e.record, &sources)
		if err == nil {
			err = c.add(e)
		}
		if err != nil {
			return nil, err
		}
	}
	if n := d.uint(1<<16 - 1); d.err == nil && int(n) != len(c.sources) {
		return nil, fmt.Errorf("%w: dictionary of %d sources, its records name %d", ErrUnit, n, len(c.sources))
	}
	for _, s := range c.sources {
		s.last.Epoch, s.last.Position = Epoch(d.uint(1<<32-1)), Position(d.text())
		s.last.Commit, s.last.Clock = Offset(d.uint(1<<64-1)), Micros(d.uint(1<<64-1))
	}
	return c, d.end()
}
