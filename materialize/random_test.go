package materialize

import (
	"fmt"
	"slices"
	"strconv"

	"pgregory.net/rapid"

	"cdc/changelog"
	"cdc/schema"
)

// randomTable is a table of a random history: what the source itself holds, as the texts of its values.
type randomTable struct {
	w       *world
	def     *schema.Table // not registered: the next version is made from it
	table   *schema.Table
	rows    [][]string
	nextCol uint32
}

// randomHistory writes transactions to the log and returns the commits, the creation of the tables first.
type randomHistory struct {
	w       *world
	tables  []*randomTable
	commits []changelog.Offset
	// blind are commits at which a table was not captured.
	blind map[changelog.TableCut]bool
}

// requests asks for every table at every commit at which it was captured.
func (h *randomHistory) requests() (all []Request) {
	for _, at := range h.commits {
		for _, r := range h.tables {
			if !h.blind[changelog.TableCut{Table: r.table.ID, Offset: at}] {
				all = append(all, Request{Table: r.table.ID, At: at})
			}
		}
	}
	return all
}

func newRandomHistory(t *rapid.T, tb *world) *randomHistory {
	h := &randomHistory{w: tb, blind: map[changelog.TableCut]bool{}}
	for i, kind := range []string{"keyed", "keyless", "inserts"} {
		def := ordersTable(kind, uint32(100+i))
		def.Columns[0].Kind, def.Columns[0].SQLType = schema.Int32, "integer"
		switch kind {
		case "keyless":
			def.Identity, def.Columns[0].Key = schema.IdentityFull, 0
		case "inserts":
			def.Identity, def.Columns[0].Key, def.AppendOnly = schema.IdentityNone, 0, true
		}
		r := &randomTable{w: tb, def: def, nextCol: 4}
		r.define()
		h.tables = append(h.tables, r)
		tb.state(r.table, changelog.TableEmpty)
	}
	h.commits = append(h.commits, tb.commit())
	for range rapid.IntRange(1, 12).Draw(t, "transactions") {
		h.transaction(t)
	}
	return h
}

func (h *randomHistory) transaction(t *rapid.T) {
	what := rapid.IntRange(0, 9).Draw(t, "what")
	if what < 2 {
		r := rapid.SampledFrom(h.tables).Draw(t, "copied")
		if what == 0 && r.logged() { // and something happened to it before that nobody saw
			r.w.state(r.table, changelog.TableUntracked)
			at := h.w.commit()
			h.commits = append(h.commits, at)
			h.blind[changelog.TableCut{Table: r.table.ID, Offset: at}] = true
			r.rows = r.rows[:len(r.rows)/2]
		}
		if rapid.Bool().Draw(t, "retyped") {
			r.retype()
		}
		r.copyAgain()
		h.commits = append(h.commits, h.w.commitAs(changelog.UnitCopy, h.w.clock))
		return
	}
	for range rapid.IntRange(1, 8).Draw(t, "changes") {
		rapid.SampledFrom(h.tables).Draw(t, "table").step(t)
	}
	if !h.w.unit.IsEmpty() {
		h.commits = append(h.commits, h.w.commit())
	}
}

// define registers a new version made from def.
func (r *randomTable) define() {
	next := *r.def
	next.Columns = slices.Clone(r.def.Columns)
	r.table = r.w.register(&next)
}

// retype changes the type of a column, as a source does that stores the rows anew.
func (r *randomTable) retype() {
	if len(r.def.Columns) < 3 || r.def.Columns[2].ID != 3 {
		return
	}
	r.def.Columns = slices.Clone(r.def.Columns)
	c := &r.def.Columns[2]
	if c.Kind == schema.Int32 {
		c.Kind, c.SQLType = schema.Int64, "bigint"
	} else {
		c.Kind, c.SQLType = schema.Int32, "integer"
	}
	r.define()
}

func (r *randomTable) copyAgain() {
	r.w.state(r.table, changelog.TableCopied)
	for _, row := range r.rows {
		r.w.unit.RowChange(changelog.OpRead, r.table, changelog.ImageNone, nil, pack(r.w.t, r.table, row...), nil)
	}
}

func (r *randomTable) step(t *rapid.T) {
	inserts := r.def.AppendOnly
	switch n := rapid.IntRange(0, 19).Draw(t, "step"); {
	case n < 7 || inserts && n < 17 || len(r.rows) == 0 && n < 17:
		r.insert(t)
	case n < 14:
		r.update(t)
	case n < 17:
		r.delete(t)
	case n == 17:
		r.w.unit.Truncate(r.table, changelog.TruncateOptions{})
		r.rows = nil
	default:
		r.alter(t)
	}
}

func (r *randomTable) values(t *rapid.T) []string {
	row := make([]string, len(r.def.Columns))
	for i := range row {
		switch r.def.Columns[i].Kind {
		case schema.Text:
			row[i] = rapid.SampledFrom([]string{"", "a", "bb", "a longer text that makes the row grow"}).Draw(t, "text")
		default:
			row[i] = strconv.Itoa(rapid.IntRange(0, 6).Draw(t, "number"))
		}
		if r.def.Columns[i].Key != 0 && row[i] == "" {
			row[i] = "k"
		}
	}
	return row
}

// find is the row with the key of the values, or -1.
func (r *randomTable) find(values []string) int {
	keyed := false
	for i := range r.def.Columns {
		keyed = keyed || r.def.Columns[i].Key != 0
	}
	if !keyed {
		return -1
	}
	return slices.IndexFunc(r.rows, func(row []string) bool {
		for i := range row {
			if r.def.Columns[i].Key != 0 && row[i] != values[i] {
				return false
			}
		}
		return true
	})
}

func (r *randomTable) insert(t *rapid.T) {
	values := r.values(t)
	if r.find(values) >= 0 {
		return
	}
	r.rows = append(r.rows, values)
	r.w.unit.RowChange(changelog.OpCreate, r.table, changelog.ImageNone, nil, pack(r.w.t, r.table, values...), nil)
}

// before is the old row as far as a source sends it.
func (r *randomTable) before(row []string) (changelog.Image, []byte) {
	if r.def.Identity == schema.IdentityFull {
		return changelog.ImageFull, pack(r.w.t, r.table, row...)
	}
	key := slices.Clone(row)
	for i := range key {
		if r.def.Columns[i].Key == 0 {
			key[i] = "-"
		}
	}
	return changelog.ImageKey, pack(r.w.t, r.table, key...)
}

func (r *randomTable) update(t *rapid.T) {
	at := rapid.IntRange(0, len(r.rows)-1).Draw(t, "row")
	old, values := r.rows[at], r.values(t)
	if !rapid.Bool().Draw(t, "move") {
		for i := range values {
			if r.def.Columns[i].Key != 0 {
				values[i] = old[i]
			}
		}
	}
	if found := r.find(values); found >= 0 && found != at {
		return
	}
	r.rows[at] = values
	image, before := r.before(old)
	if image == changelog.ImageKey && r.find(old) == at {
		image, before = changelog.ImageNone, nil // Postgres sends the old key only when it changed
	}
	r.w.unit.RowChange(changelog.OpUpdate, r.table, image, before, pack(r.w.t, r.table, values...), nil)
}

func (r *randomTable) delete(t *rapid.T) {
	at := rapid.IntRange(0, len(r.rows)-1).Draw(t, "row")
	image, before := r.before(r.rows[at])
	r.rows = slices.Delete(slices.Clone(r.rows), at, at+1)
	r.w.unit.RowChange(changelog.OpDelete, r.table, image, before, nil, nil)
}

// alter adds a column with or without a value for the rows that are there, drops one, or widens the key by one.
func (r *randomTable) alter(t *rapid.T) {
	switch rapid.IntRange(0, 3).Draw(t, "alter") {
	case 0, 1:
		if len(r.def.Columns) > 5 {
			return
		}
		c := schema.Column{ID: r.nextCol, Name: fmt.Sprintf("c%d", r.nextCol), Kind: schema.Int32, SQLType: "integer"}
		r.nextCol++
		value := ""
		if rapid.Bool().Draw(t, "default") {
			c.HasMissing, c.Missing, value = true, []byte{7, 0, 0, 0}, "7"
		}
		r.def.Columns = append(slices.Clone(r.def.Columns), c)
		for i := range r.rows {
			r.rows[i] = append(slices.Clone(r.rows[i]), value)
		}
	case 2:
		last := len(r.def.Columns) - 1
		if last < 2 || r.def.Columns[last].Key != 0 {
			return
		}
		r.def.Columns = slices.Clone(r.def.Columns)[:last]
		for i := range r.rows {
			r.rows[i] = slices.Clone(r.rows[i])[:last]
		}
	default:
		if r.def.Identity != schema.IdentityKey || len(r.def.Columns) < 3 || r.def.Columns[2].Key != 0 {
			return
		}
		for i := range r.rows {
			if r.rows[i][2] == "" {
				return
			}
		}
		r.def.Columns = slices.Clone(r.def.Columns)
		r.def.Columns[2].Key = 2
	}
	r.define()
}
