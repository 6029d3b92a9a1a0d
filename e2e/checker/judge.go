package checker

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// violationsMax bounds what is kept of a history that is wrong throughout.
const violationsMax = 20

// Unit is the frame around the changes of a transaction or a copy.
type Unit struct {
	// First is the offset of the unit's first record, Commit that of its last.
	First, Commit uint64
	// Position orders transactions as the source committed them: it compares
	// as bytes.
	Position string
	// Copy says that the unit holds tables as they were at Position.
	Copy bool
}

// Options say what a judge knows of the workload.
type Options struct {
	// Bank is the table whose v adds up to Total after every transaction;
	// empty for none.
	Bank  string
	Total int64
	// Keyless are tables in which an id may stand several times.
	Keyless []string
	// Unjudged are tables whose changes are not part of the entries' sums.
	Unjudged []string
}

// Judge reads a log from its beginning and notes what must not be. It is for
// one goroutine.
type Judge struct {
	o          Options
	violations []string
	dropped    int

	open    *Unit
	sum     Sum
	entry   *Entry
	changes uint64

	next     uint64 // offset that the next unit begins at, 0 before the first
	position string
	rows     map[string]map[string]string // values by table and id
	bank     int64
	order    []int64        // ids of ledger entries as the log has them
	streamed map[int64]int  // how often each is in a transaction
	copied   map[int64]bool // those in copies
	// copying are the tables that are being copied, with the ids that have come in copies.
	copying map[string]map[string]bool
}

// NewJudge begins with an empty log.
func NewJudge(o Options) *Judge {
	return &Judge{
		o: o, rows: map[string]map[string]string{}, streamed: map[int64]int{}, copied: map[int64]bool{}, copying: map[string]map[string]bool{},
	}
}

// BeginCopy says that the open unit begins a copy of a table. Until EndCopy the
// log does not hold the whole table: its changes stream beside the copy, and a
// row may come both ways.
func (j *Judge) BeginCopy(table string) {
	if table == j.o.Bank {
		j.bank = 0
	}
	delete(j.rows, table)
	j.copying[table] = map[string]bool{}
}

// EndCopy says that the open unit completes the copy.
func (j *Judge) EndCopy(table string) { delete(j.copying, table) }

func (j *Judge) violate(format string, args ...any) {
	if len(j.violations) == violationsMax {
		j.dropped++
		return
	}
	j.violations = append(j.violations, fmt.Sprintf(format, args...))
}

// Begin opens a unit.
func (j *Judge) Begin(u Unit) {
	if j.open != nil {
		j.violate("offset %d: a unit begins within another", u.First)
	}
	if j.next != 0 && u.First != j.next {
		j.violate("offset %d: the unit begins here, the last ended before %d", u.First, j.next)
	}
	switch {
	case u.Copy && u.Position < j.position, !u.Copy && u.Position <= j.position && j.position != "":
		j.violate("offset %d: its position does not follow that of the unit before", u.First)
	}
	j.open, j.sum, j.entry, j.changes = &u, Sum{}, nil, 0
}

// Skip passes over a unit that holds no changes.
func (j *Judge) Skip(u Unit) {
	if j.next != 0 && u.First != j.next {
		j.violate("offset %d: the unit begins here, the last ended before %d", u.First, j.next)
	}
	j.next = u.Commit + 1
}

// Change adds a change of the open unit; ordinal is its place among them.
func (j *Judge) Change(ordinal uint64, c Change) {
	j.count(ordinal)
	if slices.Contains(j.o.Unjudged, c.Table) {
		return
	}
	if j.open.Copy != (c.Op == 'r') {
		j.violate("offset %d: a change of op %c in a unit that is copy=%v", j.open.First, c.Op, j.open.Copy)
	}
	j.sum.Add(c)
	j.apply(c)
}

// Message passes over a logical message of the open unit.
func (j *Judge) Message(ordinal uint64) { j.count(ordinal) }

// Ledger adds a row of the ledger that the open unit holds.
func (j *Judge) Ledger(ordinal uint64, e Entry) {
	j.count(ordinal)
	if j.open.Copy {
		if j.copied[e.ID] {
			j.violate("offset %d: ledger entry %d is copied for the 2. time", j.open.First, e.ID)
		}
		j.copied[e.ID] = true
		return
	}
	if j.entry != nil {
		j.violate("offset %d: ledger entries %d and %d in one transaction", j.open.First, j.entry.ID, e.ID)
	}
	j.streamed[e.ID]++
	// Whoever copies a row has passed the transaction that made it.
	if times := j.times(e.ID); times > 1 {
		j.violate("offset %d: ledger entry %d for the %d. time", j.open.First, e.ID, times)
	}
	j.order = append(j.order, e.ID)
	j.entry = &e
}

// times is how often the log has had the entry.
func (j *Judge) times(id int64) int {
	n := j.streamed[id]
	if j.copied[id] {
		n++
	}
	return n
}

func (j *Judge) count(ordinal uint64) {
	if ordinal != j.changes {
		j.violate("offset %d: change %d where %d belongs", j.open.First, ordinal, j.changes)
	}
	j.changes++
}

// apply carries the change out, and notes when it cannot have happened.
func (j *Judge) apply(c Change) {
	if slices.Contains(j.o.Keyless, c.Table) {
		return
	}
	rows := j.rows[c.Table]
	if rows == nil {
		rows = map[string]string{}
		j.rows[c.Table] = rows
	}
	old := c.Key
	if c.OldKey != "" {
		old = c.OldKey
	}
	value, exists := rows[old]
	copied, copying := j.copying[c.Table]
	switch c.Op {
	case 't':
		clear(rows)
		return
	case 'r':
		if copied[old] || exists && !copying {
			j.violate("offset %d: %s %s is created and exists already", j.open.First, c.Table, old)
		}
		if exists && value != c.Value {
			j.violate("offset %d: %s %s is copied with %q, and had become %q", j.open.First, c.Table, old, c.Value, value)
		}
		if copying {
			copied[old] = true
		}
	case 'c':
		if exists {
			j.violate("offset %d: %s %s is created and exists already", j.open.First, c.Table, old)
		}
	default:
		if !exists && !copying {
			j.violate("offset %d: %s %s has op %c and does not exist", j.open.First, c.Table, old, c.Op)
		}
	}
	if c.Table == j.o.Bank {
		j.bank += number(c.Value) - number(rows[old])
	}
	delete(rows, old)
	if c.Op != 'd' {
		rows[c.Key] = c.Value
	}
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64) // empty counts as nothing
	return n
}

// Commit closes the open unit.
func (j *Judge) Commit() {
	u := j.open
	j.open = nil
	j.next, j.position = u.Commit+1, u.Position
	_, copying := j.copying[j.o.Bank]
	if j.o.Bank != "" && !copying && len(j.rows[j.o.Bank]) > 0 && j.bank != j.o.Total {
		j.violate("offset %d: the bank holds %d, not %d", u.Commit, j.bank, j.o.Total)
	}
	if u.Copy {
		return
	}
	switch {
	case j.entry == nil && j.sum.Rows > 0:
		j.violate("offset %d: a transaction of %d changes without a ledger entry", u.First, j.sum.Rows)
	case j.entry != nil && j.entry.Sum != j.sum:
		j.violate("offset %d: transaction %d has changes %+v in the log, it made %+v", u.First, j.entry.ID, j.sum, j.entry.Sum)
	}
}

// Finish judges the whole by what the clients know and what the source's ledger
// holds, and returns all that is wrong.
func (j *Judge) Finish(outcomes []Outcome, source []int64) []string {
	if j.open != nil {
		j.violate("offset %d: the log ends within a unit", j.open.First)
	}
	j.compareLedger(source)
	j.compareOutcomes(outcomes)
	j.compareOrder(outcomes)
	if j.dropped > 0 {
		return append(j.violations, fmt.Sprintf("and %d more", j.dropped))
	}
	return j.violations
}

// Seen is the number of ledger entries in the log, those of copies included.
func (j *Judge) Seen() int { return len(j.ids()) }

func (j *Judge) ids() map[int64]bool {
	all := maps.Clone(j.copied)
	for id := range j.streamed {
		all[id] = true
	}
	return all
}

// compareLedger holds the log to the source: both have the same entries.
func (j *Judge) compareLedger(source []int64) {
	has := make(map[int64]bool, len(source))
	for _, id := range source {
		has[id] = true
		if j.times(id) == 0 {
			j.violate("transaction %d is at the source and not in the log", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(j.ids())) {
		if !has[id] {
			j.violate("transaction %d is in the log and not at the source", id)
		}
	}
}

func (j *Judge) compareOutcomes(outcomes []Outcome) {
	for _, o := range outcomes {
		switch n := j.times(o.ID); {
		case o.Result == Committed && n == 0:
			j.violate("transaction %d was committed and is not in the log", o.ID)
		case o.Result == Failed && n > 0:
			j.violate("transaction %d was rolled back and is in the log", o.ID)
		}
	}
}

// compareOrder finds transactions that stand before one that had ended when
// they began. What only a copy holds has no order.
func (j *Judge) compareOrder(outcomes []Outcome) {
	known := make(map[int64]Outcome, len(outcomes))
	for _, o := range outcomes {
		known[o.ID] = o
	}
	last := map[int64]int64{}
	var latest Outcome
	for _, id := range j.order {
		o, ok := known[id]
		if !ok {
			continue
		}
		if o.Seq <= last[o.Client] {
			j.violate("client %d: transaction %d (%d.) stands after its %d.", o.Client, id, o.Seq, last[o.Client])
		}
		last[o.Client] = o.Seq
		if o.Result == Committed && o.Ended < latest.Began {
			j.violate("transaction %d had ended before %d began and stands after it", id, latest.ID)
		}
		if o.Began > latest.Began {
			latest = o
		}
	}
}
