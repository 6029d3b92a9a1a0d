//go:build e2e

package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"cdc/e2e/checker"
)

// mysqlTx is an open transaction with the sum of what it has changed.
type mysqlTx struct {
	session *mysqlSession
	random  *rand.Rand
	sum     checker.Sum
}

// mysqlWeighted are the operations on MySQL and MariaDB.
var mysqlWeighted = []weight[mysqlTx]{
	{20, (*mysqlTx).transfer},
	{12, (*mysqlTx).upsert},
	{6, (*mysqlTx).remove},
	{5, (*mysqlTx).reinsert},
	{8, (*mysqlTx).replace},
	{8, (*mysqlTx).changeKey},
	{8, (*mysqlTx).grow},
	{6, (*mysqlTx).uniqueOnly},
	{5, (*mysqlTx).updateTwo},
	{4, (*mysqlTx).deleteTwo},
	{6, (*mysqlTx).family},
	{4, (*mysqlTx).dissolve},
	{8, (*mysqlTx).move},
	{6, (*mysqlTx).edge},
	{4, (*mysqlTx).insertSelect},
	{5, (*mysqlTx).several},
	{6, (*mysqlTx).savepoint},
	{5, (*mysqlTx).evolve},
	{4, (*mysqlTx).twice},
	{1, (*mysqlTx).nothing},
}

func (t *mysqlTx) exec(ctx context.Context, format string, args ...any) error {
	return t.session.exec(ctx, fmt.Sprintf(format, args...))
}

func (t *mysqlTx) numbers(ctx context.Context, format string, args ...any) ([][]int64, error) {
	return t.session.numbers(ctx, fmt.Sprintf(format, args...))
}

func (t *mysqlTx) key() int64 { return t.random.Int64N(keySpace) }

// made notes a row that was inserted, became one that was changed, and gone one
// that was deleted.
func (t *mysqlTx) made(table string, id, v int64) {
	t.sum.Add(checker.Change{Table: table, Op: 'c', Key: text(id), Value: text(v)})
}

func (t *mysqlTx) became(table string, id, v int64) {
	t.sum.Add(checker.Change{Table: table, Op: 'u', Key: text(id), Value: text(v)})
}

func (t *mysqlTx) moved(table string, from, to, v int64) {
	c := checker.Change{Table: table, Op: 'u', Key: text(to), Value: text(v)}
	if from != to {
		c.OldKey = text(from)
	}
	t.sum.Add(c)
}

func (t *mysqlTx) gone(table string, id int64) {
	t.sum.Add(checker.Change{Table: table, Op: 'd', Key: text(id)})
}

// lock takes the row with the id for this transaction and returns its v: the
// server does not say what an update has made of a row.
func (t *mysqlTx) lock(ctx context.Context, table string, id int64) (v int64, exists bool, err error) {
	rows, err := t.numbers(ctx, "SELECT v FROM %s WHERE id = %d FOR UPDATE", table, id)
	if err != nil || len(rows) == 0 {
		return 0, false, err
	}
	return rows[0][0], true, nil
}

// writeLedger is the last change of every transaction.
func (t *mysqlTx) writeLedger(ctx context.Context, o checker.Outcome) error {
	return t.exec(ctx, "INSERT INTO %s VALUES (%d, %d, %d, %d, %d)", LedgerTable, o.ID, o.Client, o.Seq, t.sum.Rows, t.sum.Hash)
}

// transfer moves money between two accounts, which many clients contend for.
func (t *mysqlTx) transfer(ctx context.Context) error {
	from, to := 1+t.random.Int64N(accounts), 1+t.random.Int64N(accounts)
	amount := 1 + t.random.Int64N(50)
	if from == to {
		return nil
	}
	for _, by := range []struct{ id, amount int64 }{{from, -amount}, {to, amount}} {
		v, _, err := t.lock(ctx, Bank, by.id)
		if err != nil {
			return err
		}
		if err := t.exec(ctx, "UPDATE acct SET v = v + %d WHERE id = %d", by.amount, by.id); err != nil {
			return err
		}
		t.became(Bank, by.id, v+by.amount)
	}
	return nil
}

// upsert appends to a list. A row's v is 1 when it was inserted.
func (t *mysqlTx) upsert(ctx context.Context) error {
	id := t.key()
	v, exists, err := t.lock(ctx, "w_append", id)
	if err != nil {
		return err
	}
	if exists {
		t.became("w_append", id, v+1)
	} else {
		t.made("w_append", id, 1)
	}
	return t.exec(ctx, `INSERT INTO w_append VALUES (%d, '%s', 1)
ON DUPLICATE KEY UPDATE list = right(concat(list, ',', VALUES(list)), 3000), v = v + 1`, id, strconv.FormatUint(t.random.Uint64(), 36))
}

func (t *mysqlTx) remove(ctx context.Context) error { return t.removeFrom(ctx, "w_append", t.key()) }

func (t *mysqlTx) removeFrom(ctx context.Context, table string, id int64) error {
	_, exists, err := t.lock(ctx, table, id)
	if err != nil || !exists {
		return err
	}
	t.gone(table, id)
	return t.exec(ctx, "DELETE FROM %s WHERE id = %d", table, id)
}

// reinsert deletes a row and inserts it again.
func (t *mysqlTx) reinsert(ctx context.Context) error {
	id := t.key()
	if err := t.removeFrom(ctx, "w_append", id); err != nil {
		return err
	}
	t.made("w_append", id, 1)
	return t.exec(ctx, "INSERT INTO w_append VALUES (%d, 'again', 1)", id)
}

// replace has the server put one row in the place of another, which its log
// shows as an update where the table has one key.
func (t *mysqlTx) replace(ctx context.Context) error {
	id := t.key()
	v, exists, err := t.lock(ctx, "w_append", id)
	if err != nil {
		return err
	}
	if exists {
		t.became("w_append", id, v+1)
	} else {
		t.made("w_append", id, v+1)
	}
	return t.exec(ctx, "REPLACE INTO w_append VALUES (%d, 'replaced', %d)", id, v+1)
}

// twice changes one row twice in one transaction.
func (t *mysqlTx) twice(ctx context.Context) error {
	id := t.key()
	for range 2 {
		if err := t.bump(ctx, "w_append", id, "list = 'twice'"); err != nil {
			return err
		}
	}
	return nil
}

// bump changes a row, if it is there.
func (t *mysqlTx) bump(ctx context.Context, table string, id int64, set string) error {
	v, exists, err := t.lock(ctx, table, id)
	if err != nil || !exists {
		return err
	}
	t.became(table, id, v+1)
	return t.exec(ctx, "UPDATE %s SET v = v + 1, %s WHERE id = %d", table, set, id)
}

// changeKey gives a row with long values another key.
func (t *mysqlTx) changeKey(ctx context.Context) error {
	from, to := t.key(), t.key()
	v, exists, err := t.lock(ctx, "toasty", from)
	if err != nil || !exists {
		return err
	}
	t.moved("toasty", from, to, v+1)
	return t.exec(ctx, "UPDATE toasty SET id = %d, v = v + 1 WHERE id = %d", to, from)
}

// grow inserts a row with long values, or changes one of them.
func (t *mysqlTx) grow(ctx context.Context) error {
	id, column := t.key(), []string{"big", "big2"}[t.random.IntN(2)]
	v, exists, err := t.lock(ctx, "toasty", id)
	if err != nil {
		return err
	}
	if exists {
		t.became("toasty", id, v+1)
	} else {
		t.made("toasty", id, 1)
	}
	return t.exec(ctx, "INSERT INTO toasty (id, %[1]s, small, v) VALUES (%[2]d, '%[3]s', 0, 1) ON DUPLICATE KEY UPDATE %[1]s = VALUES(%[1]s), v = v + 1",
		column, id, t.session.client.long())
}

// uniqueOnly changes rows of a table that has no primary key.
func (t *mysqlTx) uniqueOnly(ctx context.Context) error {
	id := t.key()
	_, exists, err := t.lock(ctx, "uniq", id)
	if err != nil {
		return err
	}
	switch {
	case !exists:
		t.made("uniq", id, 1)
		return t.exec(ctx, "INSERT INTO uniq VALUES ('n', %d, 1)", id)
	case t.random.IntN(3) == 0:
		return t.removeFrom(ctx, "uniq", id)
	}
	return t.bump(ctx, "uniq", id, "note = 'changed'")
}

// updateTwo changes rows of two tables by one statement, deleteTwo deletes them.
func (t *mysqlTx) updateTwo(ctx context.Context) error {
	id := t.key()
	a, both, err := t.lockTwo(ctx, id)
	if err != nil || !both {
		return err
	}
	t.became("w_append", id, a[0]+1)
	t.became("toasty", id, a[1]+1)
	return t.exec(ctx, "UPDATE w_append w JOIN toasty t ON t.id = w.id SET w.v = w.v + 1, t.v = t.v + 1, t.small = t.small + 1 WHERE w.id = %d", id)
}

func (t *mysqlTx) deleteTwo(ctx context.Context) error {
	id := t.key()
	_, both, err := t.lockTwo(ctx, id)
	if err != nil || !both {
		return err
	}
	t.gone("w_append", id)
	t.gone("toasty", id)
	return t.exec(ctx, "DELETE w, t FROM w_append w JOIN toasty t ON t.id = w.id WHERE w.id = %d", id)
}

// lockTwo takes the rows with the id of both tables.
func (t *mysqlTx) lockTwo(ctx context.Context, id int64) (v [2]int64, both bool, err error) {
	both = true
	for i, table := range []string{"w_append", "toasty"} {
		var exists bool
		if v[i], exists, err = t.lock(ctx, table, id); err != nil {
			return v, false, err
		}
		both = both && exists
	}
	return v, both, nil
}

// family inserts a parent that may be there, and children.
func (t *mysqlTx) family(ctx context.Context) error {
	id := t.key()
	_, exists, err := t.lock(ctx, "parent", id)
	if err != nil {
		return err
	}
	if !exists {
		t.made("parent", id, 1)
		if err := t.exec(ctx, "INSERT INTO parent VALUES (%d, 'p', 1)", id); err != nil {
			return err
		}
	}
	for child := id * 10; child < id*10+4; child++ {
		if _, exists, err = t.lock(ctx, "child", child); err != nil {
			return err
		}
		if !exists {
			t.made("child", child, 1)
		}
	}
	return t.exec(ctx, "INSERT IGNORE INTO child SELECT %[1]d * 10 + n, %[1]d, 1 FROM numbers WHERE n < 4", id)
}

// dissolve deletes a parent and its children.
func (t *mysqlTx) dissolve(ctx context.Context) error {
	id := t.key()
	if _, _, err := t.lock(ctx, "parent", id); err != nil {
		return err
	}
	children, err := t.numbers(ctx, "SELECT id FROM child WHERE parent_id = %d FOR UPDATE", id)
	if err != nil {
		return err
	}
	for _, child := range children {
		t.gone("child", child[0])
	}
	if err := t.exec(ctx, "DELETE FROM child WHERE parent_id = %d", id); err != nil {
		return err
	}
	return t.removeFrom(ctx, "parent", id)
}

// move changes a row of a partitioned table, perhaps into another partition.
func (t *mysqlTx) move(ctx context.Context) error {
	// The key holds the region too; only these ids are used, each by one client.
	id := t.session.client.number*20 + t.random.Int64N(20)
	region := []string{"eu", "us", "ap", "xx"}[t.random.IntN(4)]
	v, exists, err := t.lock(ctx, "part", id)
	switch {
	case err != nil:
		return err
	case !exists:
		t.made("part", id, 1)
		return t.exec(ctx, "INSERT INTO part VALUES (%d, '%s', 1)", id, region)
	case t.random.IntN(8) == 0:
		return t.removeFrom(ctx, "part", id)
	}
	t.became("part", id, v+1)
	return t.exec(ctx, "UPDATE part SET region = '%s', v = v + 1 WHERE id = %d", region, id)
}

// edge inserts or replaces a row of edge values, and changes another.
func (t *mysqlTx) edge(ctx context.Context) error {
	id := t.key()
	if err := t.removeFrom(ctx, "types", id); err != nil {
		return err
	}
	t.made("types", id, 1)
	if err := t.exec(ctx, "INSERT INTO types VALUES (%d, 1, %s)", id, mysqlEdges[t.random.IntN(len(mysqlEdges))]); err != nil {
		return err
	}
	return t.bump(ctx, "types", t.key(), `a_text = concat(a_text, '.'), a_int = 0 - a_int div 2, a_json = json_set(a_json, '$.n', a_tiny)`)
}

// insertSelect inserts rows that a query makes.
func (t *mysqlTx) insertSelect(ctx context.Context) error {
	first, rows := t.random.Int64()>>1, 20+t.random.Int64N(100)
	for i := range rows {
		t.made("scratch", first+i, 1)
	}
	return t.exec(ctx, "INSERT INTO scratch SELECT %d + n, 1, repeat('x', n) FROM numbers WHERE n < %d", first, rows)
}

// empty deletes all rows of a table one by one; TRUNCATE is no part of any
// transaction.
func (t *mysqlTx) empty(ctx context.Context) error {
	rows, err := t.numbers(ctx, "SELECT id FROM scratch FOR UPDATE")
	if err != nil {
		return err
	}
	for _, row := range rows {
		t.gone("scratch", row[0])
	}
	if err := t.exec(ctx, "DELETE FROM scratch"); err != nil {
		return err
	}
	return t.insertSelect(ctx)
}

// several combines operations on several tables.
func (t *mysqlTx) several(ctx context.Context) error {
	for _, do := range []func(*mysqlTx, context.Context) error{(*mysqlTx).transfer, (*mysqlTx).upsert, (*mysqlTx).grow, (*mysqlTx).move} {
		if err := do(t, ctx); err != nil {
			return err
		}
	}
	return nil
}

// savepoint does two things and takes back what lies between.
func (t *mysqlTx) savepoint(ctx context.Context) error {
	if err := t.upsert(ctx); err != nil {
		return err
	}
	kept := t.sum
	if err := t.exec(ctx, "SAVEPOINT s"); err != nil {
		return err
	}
	for _, do := range []func(*mysqlTx, context.Context) error{(*mysqlTx).grow, (*mysqlTx).transfer} {
		if err := do(t, ctx); err != nil {
			return err
		}
	}
	if err := t.exec(ctx, "ROLLBACK TO SAVEPOINT s"); err != nil {
		return err
	}
	t.sum = kept
	return t.transfer(ctx)
}

// nothing is a transaction with its ledger entry only.
func (t *mysqlTx) nothing(context.Context) error { return nil }

func (t *mysqlTx) evolve(ctx context.Context) error {
	id := t.key()
	v, exists, err := t.lock(ctx, evolving, id)
	switch {
	case err != nil:
		return err
	case t.session.client.w.o.DDLEvery > 0: // unjudged
	case exists:
		t.became(evolving, id, v+1)
	default:
		t.made(evolving, id, 1)
	}
	return t.exec(ctx, "INSERT INTO evolve (id, v) VALUES (%d, 1) ON DUPLICATE KEY UPDATE v = v + 1", id)
}

// bulk inserts rows whose v is their id's remainder by 1000.
func (t *mysqlTx) bulk(ctx context.Context, rows int) error {
	first := t.random.Int64N(1 << 40)
	for i := range int64(rows) {
		t.made("bulk", first+i, (first+i)%1000)
	}
	return t.exec(ctx, `INSERT INTO bulk SELECT %[1]d + a.n * 1000 + b.n, (%[1]d + a.n * 1000 + b.n) %% 1000
FROM numbers a CROSS JOIN numbers b WHERE a.n * 1000 + b.n < %[2]d`, first, rows)
}

// alter changes the columns of a table.
func (t *mysqlTx) alter(ctx context.Context) error {
	out, err := t.session.conn.SQL(ctx, `SELECT column_name FROM information_schema.columns
WHERE table_schema = database() AND table_name = 'evolve' AND ordinal_position > 2 ORDER BY ordinal_position`)
	if err != nil {
		return err
	}
	columns := strings.Fields(out)
	fresh := fmt.Sprintf("c%d", t.random.Uint32())
	switch n := t.random.IntN(5); {
	case n == 0 && len(columns) > 0:
		return t.exec(ctx, "ALTER TABLE evolve RENAME COLUMN %s TO %s", columns[t.random.IntN(len(columns))], fresh)
	case n == 1 && len(columns) > 3:
		return t.exec(ctx, "ALTER TABLE evolve DROP COLUMN %s", columns[t.random.IntN(len(columns))])
	case n == 2 && len(columns) > 0:
		kind := []string{"varchar(200)", "longtext"}
		return t.exec(ctx, "ALTER TABLE evolve MODIFY COLUMN %s %s", columns[t.random.IntN(len(columns))], kind[t.random.IntN(len(kind))])
	case n == 3:
		// The columns after it move.
		return t.exec(ctx, "ALTER TABLE evolve ADD COLUMN %s int NOT NULL DEFAULT 5 AFTER v", fresh)
	}
	kind := []string{"int DEFAULT 7", "varchar(40) DEFAULT 'it''s, old'", "decimal(6,2)", "datetime(3) DEFAULT '2020-02-02 02:02:02.25'"}
	return t.exec(ctx, "ALTER TABLE evolve ADD COLUMN %s %s", fresh, kind[t.random.IntN(len(kind))])
}

// define empties a table, makes it anew, or has another take its name. The last
// time may have been cut short.
func (t *mysqlTx) define(ctx context.Context) error {
	if err := t.exec(ctx, "CREATE TABLE IF NOT EXISTS redefined (id bigint PRIMARY KEY, v bigint); DROP TABLE IF EXISTS redefined_new, redefined_old"); err != nil {
		return err
	}
	insert := fmt.Sprintf("INSERT INTO redefined SELECT n, %d FROM numbers WHERE n < 10", t.random.IntN(100))
	switch t.random.IntN(3) {
	case 0:
		return t.exec(ctx, "TRUNCATE redefined; %s", insert)
	case 1:
		return t.exec(ctx, "DROP TABLE redefined; CREATE TABLE redefined (id bigint PRIMARY KEY, v bigint); %s", insert)
	}
	// As tools that change tables online do it.
	return t.exec(ctx, `CREATE TABLE redefined_new LIKE redefined; INSERT INTO redefined_new SELECT * FROM redefined;
RENAME TABLE redefined TO redefined_old, redefined_new TO redefined; DROP TABLE redefined_old; REPLACE INTO redefined VALUES (1, %d)`, t.random.IntN(100))
}

// untransacted changes a table whose engine knows no transactions, and one
// whose rows a statement without a transaction changes.
func (t *mysqlTx) untransacted(ctx context.Context) error {
	id := t.key()
	return t.exec(ctx, "INSERT INTO plain VALUES (%[1]d, 1) ON DUPLICATE KEY UPDATE v = v + 1; DELETE FROM plain WHERE id = %[2]d; UPDATE plain SET v = v + 1 WHERE id < 20",
		id, t.key())
}
