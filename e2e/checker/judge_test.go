package checker

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Goal: the judge accepts a history as it should be and notices each way in
// which capture could spoil it.
//
// Method: a small history is made by a model, then spoilt in one way that
// stands for one bug, and judged.

const bankTotal = 1000

// happened is one unit as the log would hold it.
type happened struct {
	unit    Unit
	changes []Change
	entry   *Entry
}

type history struct {
	units    []happened
	outcomes []Outcome
	source   []int64
}

// newHistory is a copy of ten accounts and a ledger entry, then transactions
// that transfer, insert, change keys and delete.
func newHistory(seed uint64) *history {
	random := rand.New(rand.NewPCG(seed, 1))
	h := &history{source: []int64{0}, outcomes: []Outcome{{ID: 0, Client: 9, Seq: 1, Began: -2, Ended: -1}}}
	first := happened{unit: Unit{Position: "0000", Copy: true}, entry: &Entry{ID: 0, Client: 9, Seq: 1, Sum: Sum{Rows: 7}}}
	balances := map[int]int64{}
	for i := range 10 {
		balances[i] = bankTotal / 10
		first.changes = append(first.changes, Change{Table: "acct", Op: 'r', Key: strconv.Itoa(i), Value: "100"})
	}
	h.units = append(h.units, first)
	for i := 1; i <= 30; i++ {
		a, b := i%10, (i+1+random.IntN(9))%10
		balances[a]--
		balances[b]++
		key := strconv.Itoa(i)
		changes := []Change{
			{Table: "acct", Op: 'u', Key: strconv.Itoa(a), Value: strconv.FormatInt(balances[a], 10)},
			{Table: "acct", Op: 'u', Key: strconv.Itoa(b), Value: strconv.FormatInt(balances[b], 10)},
			{Table: "kv", Op: 'c', Key: key, Value: "1"},
			{Table: "kv", Op: 'u', OldKey: key, Key: "n" + key, Value: "2"},
			{Table: "kv", Op: 'd', Key: "n" + key},
		}
		h.add(int64(i), changes)
	}
	h.number()
	return h
}

// add appends a transaction of client id%3; it has ended before the next one
// of another client begins.
func (h *history) add(id int64, changes []Change) {
	e := Entry{ID: id, Client: id % 3, Seq: id}
	for _, c := range changes {
		e.Sum.Add(c)
	}
	position := strconv.FormatInt(1000+id, 10)
	h.units = append(h.units, happened{unit: Unit{Position: position}, changes: changes, entry: &e})
	h.outcomes = append(h.outcomes, Outcome{ID: id, Client: e.Client, Seq: id, Began: id * 10, Ended: id*10 + 5})
	h.source = append(h.source, id)
}

// number gives all units dense offsets.
func (h *history) number() {
	next := uint64(1)
	for i := range h.units {
		u := &h.units[i]
		u.unit.First = next
		next += uint64(len(u.changes)) + 1
		if u.entry != nil {
			next++
		}
		u.unit.Commit = next - 1
	}
}

func (h *history) judge() []string {
	j := NewJudge(Options{Bank: "acct", Total: bankTotal})
	for _, u := range h.units {
		j.Begin(u.unit)
		for i, c := range u.changes {
			j.Change(uint64(i), c)
		}
		if u.entry != nil {
			j.Ledger(uint64(len(u.changes)), *u.entry)
		}
		j.Commit()
	}
	return j.Finish(h.outcomes, h.source)
}

func TestJudgeAcceptsAGoodHistory(t *testing.T) {
	for seed := range uint64(20) {
		if violations := newHistory(seed).judge(); len(violations) > 0 {
			t.Fatalf("seed %d: %s", seed, strings.Join(violations, "\n"))
		}
	}
}

func TestJudgeAllowsUnknownOutcomes(t *testing.T) {
	h := newHistory(1)
	h.outcomes[7].Result = Unknown
	h.outcomes = append(h.outcomes, Outcome{ID: 99, Client: 2, Seq: 99, Result: Unknown})
	if violations := h.judge(); len(violations) > 0 {
		t.Fatal(strings.Join(violations, "\n"))
	}
}

func TestJudgeNoticesPlantedBugs(t *testing.T) {
	bugs := map[string]struct {
		spoil func(h *history)
		want  string
	}{
		"transaction dropped":         {func(h *history) { h.units = slices.Delete(h.units, 5, 6); h.number() }, "transaction 5 is at the source and not in the log"},
		"transaction twice":           {func(h *history) { h.units = slices.Insert(h.units, 6, h.units[5]); h.number() }, "ledger entry 5 for the 2. time"},
		"copied and streamed":         {func(h *history) { h.units[0].entry = h.units[3].entry }, "ledger entry 3 for the 2. time"},
		"two in the wrong order":      {func(h *history) { h.units[5], h.units[6] = h.units[6], h.units[5]; h.number() }, "does not follow"},
		"order of the ends forgotten": {swapEnds, "had ended before"},
		"a client's own order":        {swapClient, "stands after its"},
		"first change dropped":        {func(h *history) { h.units[4].changes = h.units[4].changes[1:]; h.number() }, "has changes"},
		"last change dropped":         {func(h *history) { h.units[4].changes = h.units[4].changes[:4]; h.number() }, "has changes"},
		"change twice":                {func(h *history) { c := &h.units[4].changes; *c = append(*c, (*c)[0]); h.number() }, "has changes"},
		"transaction cut in two":      {split, "without a ledger entry"},
		"a value lost":                {func(h *history) { h.units[4].changes[2].Value = "" }, "has changes"},
		"update as insert":            {func(h *history) { h.units[4].changes[0].Op = 'c' }, "exists already"},
		"old key lost":                {func(h *history) { h.units[4].changes[3].OldKey = "" }, "does not exist"},
		"half a transfer":             {func(h *history) { h.units[4].changes[1].Value = "5000" }, "the bank holds"},
		"rolled back and there":       {func(h *history) { h.outcomes[4].Result = Failed }, "was rolled back and is in the log"},
		"committed and nowhere":       {func(h *history) { h.outcomes = append(h.outcomes, Outcome{ID: 77}) }, "was committed and is not in the log"},
		"not at the source":           {func(h *history) { h.source = h.source[:10] }, "in the log and not at the source"},
		"offsets with a hole":         {func(h *history) { h.units[9].unit.First++ }, "the unit begins here"},
		"row of a copy in the stream": {func(h *history) { h.units[4].changes[2].Op = 'r' }, "a change of op r"},
	}
	for name, bug := range bugs {
		t.Run(name, func(t *testing.T) {
			h := newHistory(2)
			bug.spoil(h)
			text := strings.Join(h.judge(), "\n")
			if !strings.Contains(text, bug.want) {
				t.Fatalf("violations do not hold %q:\n%s", bug.want, text)
			}
		})
	}
}

// swapEnds exchanges two transactions with their positions, as a log would that
// made positions up.
func swapEnds(h *history) {
	h.units[5], h.units[6] = h.units[6], h.units[5]
	h.units[5].unit, h.units[6].unit = h.units[6].unit, h.units[5].unit
	h.number()
}

// swapClient does so with two of one client.
func swapClient(h *history) {
	h.units[5], h.units[8] = h.units[8], h.units[5]
	h.units[5].unit, h.units[8].unit = h.units[8].unit, h.units[5].unit
	h.number()
}

func split(h *history) {
	u := h.units[5]
	head := happened{unit: Unit{Position: "1004z"}, changes: u.changes[:2]}
	h.units[5].changes = u.changes[2:]
	h.units = slices.Insert(h.units, 5, head)
	h.number()
}

// chunked is a history in which the accounts are copied in two chunks while they
// change: one row comes by a change first, another changes after its chunk.
func chunked(spoil func(change *Change, unit *Unit)) string {
	j := NewJudge(Options{Bank: "acct", Total: 300})
	next := uint64(1)
	unit := func(position string, isCopy bool, entry int64, changes ...Change) {
		u := Unit{First: next, Commit: next + uint64(len(changes)), Position: position, Copy: isCopy}
		if entry > 0 {
			u.Commit++
		}
		next = u.Commit + 1
		var sum Sum
		for _, c := range changes {
			sum.Add(c)
		}
		for i := range changes {
			spoil(&changes[i], &u)
		}
		j.Begin(u)
		for i, c := range changes {
			j.Change(uint64(i), c)
		}
		if entry > 0 {
			j.Ledger(uint64(len(changes)), Entry{ID: entry, Seq: entry, Sum: sum})
		}
	}
	unit("0", true, 0)
	j.BeginCopy("acct")
	j.Commit()
	unit("1", false, 1, Change{Table: "acct", Op: 'u', Key: "1", Value: "90"}, Change{Table: "acct", Op: 'u', Key: "2", Value: "110"})
	j.Commit()
	unit("1", true, 0, Change{Table: "acct", Op: 'r', Key: "1", Value: "90"}, Change{Table: "acct", Op: 'r', Key: "2", Value: "110"})
	j.Commit()
	unit("2", false, 2, Change{Table: "acct", Op: 'u', Key: "1", Value: "80"}, Change{Table: "acct", Op: 'u', Key: "3", Value: "110"})
	j.Commit()
	unit("2", true, 0, Change{Table: "acct", Op: 'r', Key: "3", Value: "110"})
	j.EndCopy("acct")
	j.Commit()
	return strings.Join(j.Finish(nil, []int64{1, 2}), "\n")
}

func TestJudgeAcceptsACopyInChunks(t *testing.T) {
	if text := chunked(func(*Change, *Unit) {}); text != "" {
		t.Fatal(text)
	}
}

func TestJudgeNoticesBugsOfCopiesInChunks(t *testing.T) {
	bugs := map[string]struct {
		spoil func(c *Change, u *Unit)
		want  string
	}{
		"a row goes back": {func(c *Change, u *Unit) {
			c.Value = strings.Replace(c.Value, "90", "100", map[bool]int{true: 1}[u.Copy])
		}, "had become"},
		"a row twice":       {func(c *Change, u *Unit) { c.Key = strings.Replace(c.Key, "3", "2", map[bool]int{true: 1}[u.Copy]) }, "exists already"},
		"a row is left out": {func(c *Change, u *Unit) { c.Key = strings.Replace(c.Key, "3", "4", map[bool]int{true: 1}[u.Copy]) }, "the bank holds"},
	}
	for name, bug := range bugs {
		t.Run(name, func(t *testing.T) {
			if text := chunked(bug.spoil); !strings.Contains(text, bug.want) {
				t.Fatalf("violations do not hold %q:\n%s", bug.want, text)
			}
		})
	}
}

func TestJudgePassesOverUnjudgedTables(t *testing.T) {
	j := NewJudge(Options{Unjudged: []string{"other"}})
	j.Begin(Unit{First: 1, Commit: 4, Position: "a"})
	j.Change(0, Change{Table: "other", Op: 'u', Key: "1"})
	j.Ledger(1, Entry{ID: 1})
	j.Commit()
	if violations := j.Finish(nil, []int64{1}); len(violations) > 0 {
		t.Fatalf("violations: %q", violations)
	}
}

func TestJudgeNoticesTwoTransactionsInOne(t *testing.T) {
	j := NewJudge(Options{})
	j.Begin(Unit{First: 1, Commit: 3, Position: "a"})
	j.Ledger(0, Entry{ID: 1})
	j.Ledger(1, Entry{ID: 2})
	j.Commit()
	text := strings.Join(j.Finish(nil, []int64{1, 2}), "\n")
	if !strings.Contains(text, "ledger entries 1 and 2 in one transaction") {
		t.Fatalf("violations: %s", text)
	}
}

func TestJudgeNoticesAnUnfinishedUnit(t *testing.T) {
	j := NewJudge(Options{})
	j.Begin(Unit{First: 1, Commit: 2, Position: "a"})
	if violations := j.Finish(nil, nil); len(violations) != 1 {
		t.Fatalf("violations: %q", violations)
	}
}

func TestJudgeKeepsViolationsFew(t *testing.T) {
	h := newHistory(3)
	for i := range h.units[1:] {
		h.units[i+1].changes = nil
	}
	if violations := h.judge(); len(violations) != violationsMax+1 {
		t.Fatalf("%d violations", len(violations))
	}
}
