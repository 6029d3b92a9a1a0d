//go:build e2e

package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"cdc/e2e/checker"
)

// tx is an open transaction with the sum of what it has changed.
type tx struct {
	client *client
	conn   *pgx.Conn
	random *rand.Rand
	sum    checker.Sum
}

// weight is an operation with how often it is chosen.
type weight[T any] struct {
	weight int
	do     func(*T, context.Context) error
}

// draw chooses an operation.
func draw[T any](all []weight[T], random *rand.Rand) func(*T, context.Context) error {
	total := 0
	for _, w := range all {
		total += w.weight
	}
	n := random.IntN(total)
	for _, w := range all {
		if n -= w.weight; n < 0 {
			return w.do
		}
	}
	return nil
}

// weighted are the operations on PostgreSQL.
var weighted = []weight[tx]{
	{20, (*tx).transfer},
	{15, (*tx).upsert},
	{6, (*tx).remove},
	{5, (*tx).reinsert},
	{8, (*tx).changeKey},
	{10, (*tx).shrink},
	{4, (*tx).grow},
	{8, (*tx).duplicate},
	{5, (*tx).removeDuplicates},
	{6, (*tx).family},
	{4, (*tx).cascade},
	{8, (*tx).move},
	{6, (*tx).edge},
	{4, (*tx).copyIn},
	{5, (*tx).several},
	{6, (*tx).savepoint},
	{3, (*tx).message},
	{5, (*tx).evolve},
	{4, (*tx).twice},
	{1, (*tx).nothing},
}

func (t *tx) exec(ctx context.Context, sql string, args ...any) error {
	_, err := t.conn.Exec(ctx, sql, args...)
	return err
}

// note adds a change to the sum.
func (t *tx) note(c checker.Change) { t.sum.Add(c) }

// each runs a statement that returns one number or more for each row that it
// changes.
func (t *tx) each(ctx context.Context, f func(row []int64), sql string, args ...any) error {
	rows, err := t.conn.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		numbers := make([]int64, len(values))
		for i, v := range values {
			numbers[i] = v.(int64) // all judged columns are bigint
		}
		f(numbers)
	}
	return rows.Err()
}

func text(n int64) string { return strconv.FormatInt(n, 10) }

// changed notes rows of id and v that a statement has changed.
func (t *tx) changed(ctx context.Context, table string, op byte, sql string, args ...any) error {
	return t.each(ctx, func(row []int64) {
		c := checker.Change{Table: table, Op: op, Key: text(row[0])}
		if op != 'd' {
			c.Value = text(row[1])
		}
		t.note(c)
	}, sql, args...)
}

func (t *tx) key() int64 { return t.random.Int64N(keySpace) }

// writeLedger is the last change of every transaction.
func (t *tx) writeLedger(ctx context.Context, o checker.Outcome) error {
	return t.exec(ctx, `INSERT INTO w_tx VALUES ($1, $2, $3, $4, $5)`, o.ID, o.Client, o.Seq, t.sum.Rows, t.sum.Hash)
}

// transfer moves money between two accounts, which many clients contend for.
func (t *tx) transfer(ctx context.Context) error {
	from, to := 1+t.random.Int64N(accounts), 1+t.random.Int64N(accounts)
	amount := 1 + t.random.Int64N(50)
	if from == to {
		return nil
	}
	const sql = `UPDATE acct SET v = v + $2 WHERE id = $1 RETURNING id, v`
	if err := t.changed(ctx, "acct", 'u', sql, from, -amount); err != nil {
		return err
	}
	return t.changed(ctx, "acct", 'u', sql, to, amount)
}

// upsert appends to a list. A row's v is 1 when it was inserted.
func (t *tx) upsert(ctx context.Context) error {
	return t.each(ctx, func(row []int64) {
		c := checker.Change{Table: "w_append", Op: 'u', Key: text(row[0]), Value: text(row[1])}
		if row[1] == 1 {
			c.Op = 'c'
		}
		t.note(c)
	}, `INSERT INTO w_append VALUES ($1, $2, 1) ON CONFLICT (id)
DO UPDATE SET list = right(w_append.list || ',' || excluded.list, 3000), v = w_append.v + 1 RETURNING id, v`,
		t.key(), strconv.FormatUint(t.random.Uint64(), 36))
}

func (t *tx) remove(ctx context.Context) error {
	return t.changed(ctx, "w_append", 'd', `DELETE FROM w_append WHERE id = $1 RETURNING id`, t.key())
}

// reinsert deletes a row and inserts it again.
func (t *tx) reinsert(ctx context.Context) error {
	id := t.key()
	if err := t.changed(ctx, "w_append", 'd', `DELETE FROM w_append WHERE id = $1 RETURNING id`, id); err != nil {
		return err
	}
	return t.changed(ctx, "w_append", 'c', `INSERT INTO w_append VALUES ($1, 'again', 1) RETURNING id, v`, id)
}

// twice changes one row twice in one transaction.
func (t *tx) twice(ctx context.Context) error {
	id := t.key()
	for range 2 {
		if err := t.changed(ctx, "w_append", 'u', `UPDATE w_append SET v = v + 1 WHERE id = $1 RETURNING id, v`, id); err != nil {
			return err
		}
	}
	return nil
}

// changeKey gives a row with long values, which are not sent, another key.
func (t *tx) changeKey(ctx context.Context) error {
	from, to := t.key(), t.key()
	return t.each(ctx, func(row []int64) {
		c := checker.Change{Table: "toasty", Op: 'u', Key: text(row[0]), Value: text(row[1])}
		if from != to {
			c.OldKey = text(from)
		}
		t.note(c)
	}, `UPDATE toasty SET id = $2, v = v + 1 WHERE id = $1 RETURNING id, v`, from, to)
}

// shrink changes a short column beside long ones, which are not sent.
func (t *tx) shrink(ctx context.Context) error {
	return t.changed(ctx, "toasty", 'u', `UPDATE toasty SET small = small + 1, v = v + 1 WHERE id = $1 RETURNING id, v`, t.key())
}

// grow inserts a row with long values, or changes one of them.
func (t *tx) grow(ctx context.Context) error {
	id, column := t.key(), []string{"big", "big2"}[t.random.IntN(2)]
	return t.each(ctx, func(row []int64) {
		c := checker.Change{Table: "toasty", Op: 'u', Key: text(row[0]), Value: text(row[1])}
		if row[1] == 1 {
			c.Op = 'c'
		}
		t.note(c)
	}, fmt.Sprintf(`INSERT INTO toasty (id, %[1]s, small, v) VALUES ($1, $2, 0, 1) ON CONFLICT (id)
DO UPDATE SET %[1]s = excluded.%[1]s, v = toasty.v + 1 RETURNING id, v`, column), id, t.client.long())
}

// duplicate inserts equal rows into a table without a key, and changes others.
func (t *tx) duplicate(ctx context.Context) error {
	id := t.random.Int64N(20)
	if err := t.changed(ctx, Keyless, 'c', `INSERT INTO keyless SELECT $1, 'same', 1 FROM generate_series(1, 2) RETURNING id, v`, id); err != nil {
		return err
	}
	return t.changed(ctx, Keyless, 'u', `UPDATE keyless SET v = v + 1 WHERE id = $1 AND v < 4 RETURNING id, v`, t.random.Int64N(20))
}

func (t *tx) removeDuplicates(ctx context.Context) error {
	return t.changed(ctx, Keyless, 'd', `DELETE FROM keyless WHERE id = $1 AND v > $2 RETURNING id`, t.random.Int64N(20), t.random.Int64N(4))
}

// family inserts a parent that may be there, and children.
func (t *tx) family(ctx context.Context) error {
	id := t.random.Int64N(keySpace)
	if err := t.changed(ctx, "parent", 'c', `INSERT INTO parent VALUES ($1, 'p', 1) ON CONFLICT DO NOTHING RETURNING id, v`, id); err != nil {
		return err
	}
	return t.changed(ctx, "child", 'c', `INSERT INTO child SELECT $1 * 10 + j, $1, 1 FROM generate_series(0, 3) j ON CONFLICT DO NOTHING RETURNING id, v`, id)
}

// cascade deletes a parent with its children. The locks keep others from
// changing how many there are.
func (t *tx) cascade(ctx context.Context) error {
	id := t.random.Int64N(keySpace)
	if err := t.each(ctx, func([]int64) {}, `SELECT id FROM parent WHERE id = $1 FOR UPDATE`, id); err != nil {
		return err
	}
	if err := t.changed(ctx, "child", 'd', `SELECT id FROM child WHERE parent_id = $1 FOR UPDATE`, id); err != nil {
		return err
	}
	return t.changed(ctx, "parent", 'd', `DELETE FROM parent WHERE id = $1 RETURNING id`, id)
}

// move changes a row of a partitioned table; one that leaves its partition is
// deleted there and inserted elsewhere.
func (t *tx) move(ctx context.Context) error {
	id, region := t.random.Int64N(60), []string{"eu", "us", "ap", "xx"}[t.random.IntN(4)]
	// The key holds the region too: without this lock two clients could give one
	// id two rows.
	if err := t.exec(ctx, `SELECT pg_advisory_xact_lock($1)`, id); err != nil {
		return err
	}
	var old string
	err := t.conn.QueryRow(ctx, `SELECT CASE WHEN region IN ('eu', 'us') THEN region ELSE 'rest' END FROM part WHERE id = $1 FOR UPDATE`, id).Scan(&old)
	if errors.Is(err, pgx.ErrNoRows) {
		return t.changed(ctx, "part", 'c', `INSERT INTO part VALUES ($1, $2, 1) RETURNING id, v`, id, region)
	}
	if err != nil {
		return err
	}
	if t.random.IntN(8) == 0 {
		return t.changed(ctx, "part", 'd', `DELETE FROM part WHERE id = $1 RETURNING id`, id)
	}
	const sql = `UPDATE part SET region = $2, v = v + 1 WHERE id = $1 RETURNING id, v`
	stays := old == region || old == "rest" && (region == "ap" || region == "xx")
	if stays {
		return t.changed(ctx, "part", 'u', sql, id, region)
	}
	t.note(checker.Change{Table: "part", Op: 'd', Key: text(id)})
	return t.changed(ctx, "part", 'c', sql, id, region)
}

// edge inserts or replaces a row of edge values.
func (t *tx) edge(ctx context.Context) error {
	id := t.key()
	if err := t.changed(ctx, "types", 'd', `DELETE FROM types WHERE id = $1 RETURNING id`, id); err != nil {
		return err
	}
	values := edges[t.random.IntN(len(edges))]
	if err := t.changed(ctx, "types", 'c', fmt.Sprintf(`INSERT INTO types VALUES (%d, 1, %s) RETURNING id, v`, id, values)); err != nil {
		return err
	}
	return t.changed(ctx, "types", 'u', `UPDATE types SET v = v + 1, a_text = a_text || '.', a_int4 = 0 - (a_int4 / 2) WHERE id = $1 RETURNING id, v`, t.key())
}

// copyIn loads rows that all share one place in the write-ahead log.
func (t *tx) copyIn(ctx context.Context) error {
	rows := make([][]any, 20+t.random.IntN(100))
	for i := range rows {
		id := t.random.Int64()
		rows[i] = []any{id, int64(1), strings.Repeat("x", t.random.IntN(50))}
		t.note(checker.Change{Table: "scratch", Op: 'c', Key: text(id), Value: "1"})
	}
	_, err := t.conn.CopyFrom(ctx, pgx.Identifier{"scratch"}, []string{"id", "v", "note"}, pgx.CopyFromRows(rows))
	return err
}

func (t *tx) truncate(ctx context.Context) error {
	t.note(checker.Change{Table: "scratch", Op: 't'})
	if err := t.exec(ctx, `TRUNCATE scratch`); err != nil {
		return err
	}
	return t.copyIn(ctx)
}

// several combines operations on several tables.
func (t *tx) several(ctx context.Context) error {
	for _, do := range []func(*tx, context.Context) error{(*tx).transfer, (*tx).upsert, (*tx).shrink, (*tx).move} {
		if err := do(t, ctx); err != nil {
			return err
		}
	}
	return nil
}

// savepoint does two things and takes back what lies between.
func (t *tx) savepoint(ctx context.Context) error {
	if err := t.upsert(ctx); err != nil {
		return err
	}
	kept := t.sum
	if err := t.exec(ctx, `SAVEPOINT s`); err != nil {
		return err
	}
	for _, do := range []func(*tx, context.Context) error{(*tx).grow, (*tx).transfer} {
		if err := do(t, ctx); err != nil {
			return err
		}
	}
	if err := t.exec(ctx, `ROLLBACK TO SAVEPOINT s`); err != nil {
		return err
	}
	t.sum = kept
	return t.transfer(ctx)
}

// message writes a message beside a change, and one that no rollback takes back.
func (t *tx) message(ctx context.Context) error {
	if err := t.exec(ctx, `SELECT pg_logical_emit_message(true, 'e2e', $1), pg_logical_emit_message(false, 'e2e', 'loose')`, t.client.long()[:100]); err != nil {
		return err
	}
	return t.upsert(ctx)
}

// nothing is a transaction with its ledger entry only.
func (t *tx) nothing(context.Context) error { return nil }

func (t *tx) evolve(ctx context.Context) error {
	return t.each(ctx, func(row []int64) {
		c := checker.Change{Table: evolving, Op: 'u', Key: text(row[0]), Value: text(row[1])}
		if row[1] == 1 {
			c.Op = 'c'
		}
		if t.client.w.o.DDLEvery == 0 {
			t.note(c)
		}
	}, `INSERT INTO evolve (id, v) VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET v = evolve.v + 1 RETURNING id, v`, t.key())
}

// alter changes the columns of a table whose rows stay as they are.
func (t *tx) alter(ctx context.Context) error {
	rows, err := t.conn.Query(ctx, `SELECT attname::text FROM pg_attribute
WHERE attrelid = 'evolve'::regclass AND attnum > 2 AND NOT attisdropped ORDER BY attnum`)
	if err != nil {
		return err
	}
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	fresh := fmt.Sprintf("c%d", t.random.Uint32())
	var sql string
	switch n := t.random.IntN(3); {
	case n == 0 && len(columns) > 0:
		sql = fmt.Sprintf("ALTER TABLE evolve RENAME COLUMN %s TO %s", columns[t.random.IntN(len(columns))], fresh)
	case n == 1 && len(columns) > 3:
		sql = "ALTER TABLE evolve DROP COLUMN " + columns[t.random.IntN(len(columns))]
	default:
		kind := []string{"int DEFAULT 7", "text DEFAULT 'it''s, old'", "numeric(6,2)", "timestamptz DEFAULT '2020-02-02 02:02:02+00'"}
		sql = fmt.Sprintf("ALTER TABLE evolve ADD COLUMN %s %s", fresh, kind[t.random.IntN(len(kind))])
	}
	if err := t.exec(ctx, sql); err != nil {
		return err
	}
	return t.evolve(ctx)
}

// bulk inserts rows whose v is their id's remainder by 1000.
func (t *tx) bulk(ctx context.Context, rows int) error {
	first := t.random.Int64N(1 << 40)
	for i := range int64(rows) {
		t.note(checker.Change{Table: "bulk", Op: 'c', Key: text(first + i), Value: text((first + i) % 1000)})
	}
	return t.exec(ctx, `INSERT INTO bulk SELECT i, i % 1000 FROM generate_series($1::bigint, $1::bigint + $2::bigint - 1) i`, first, rows)
}
