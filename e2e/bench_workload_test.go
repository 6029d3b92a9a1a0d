//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// benchSQL makes the table that most measurements change, and the
// procedures that change it.
//
// Rows are made in blocks of twelve. A block loses its last two to the
// transaction after it, so that the first ten can be updated at any time and
// every transaction has exactly as many changes as it is asked for.
const benchSQL = `
CREATE TABLE orders (
	id       bigint PRIMARY KEY,
	customer integer NOT NULL,
	amount   numeric(12,2) NOT NULL,
	status   text NOT NULL,
	note     text,
	placed   timestamptz NOT NULL
);

CREATE FUNCTION insert_orders(first bigint, last bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO orders
	SELECT n, (random() * 50000)::int, round((random() * 900)::numeric, 2),
	       (ARRAY['new', 'paid', 'packed', 'shipped'])[1 + (random() * 3)::int],
	       'gift for ' || substr(md5(random()::text), 1, 12), clock_timestamp()
	FROM generate_series(first, last) n
$$;

-- Transactions of 20 changes: 12 inserts, 6 updates, 2 deletes.
CREATE PROCEDURE change_in_twenties(transactions int) LANGUAGE plpgsql AS $$
DECLARE
	top   bigint := (SELECT max(id) FROM orders);
	block bigint;
BEGIN
	FOR i IN 1..transactions LOOP
		block := 12 * floor(random() * (top / 12));
		PERFORM insert_orders(top + 1, top + 12);
		UPDATE orders SET amount = amount + 1, status = 'paid' WHERE id BETWEEN block + 1 AND block + 6;
		DELETE FROM orders WHERE id IN (top - 1, top);
		top := top + 12;
		COMMIT;
	END LOOP;
END $$;

-- Transactions of one change: an insert, two updates, and a delete of what
-- was inserted.
CREATE PROCEDURE change_one_by_one(transactions int) LANGUAGE plpgsql AS $$
DECLARE
	blocks bigint := (SELECT max(id) / 12 FROM orders);
	block  bigint;
BEGIN
	FOR i IN 1..transactions LOOP
		CASE i % 4
		WHEN 1 THEN PERFORM insert_orders(-i, -i);
		WHEN 0 THEN DELETE FROM orders WHERE id = 3 - i;
		ELSE
			block := 12 * floor(random() * blocks);
			UPDATE orders SET amount = amount + 1, status = 'shipped' WHERE id = block + 1;
		END CASE;
		COMMIT;
	END LOOP;
END $$;

SELECT insert_orders(1, 1200);
`

// changesInTwenty is what each transaction of change_in_twenties changes.
const changesInTwenty = 20

// newWorkload makes a database with the table that is changed.
func (e *bench) newWorkload(b *testing.B) string {
	b.Helper()
	database := e.pg.Database(b)
	e.sql(b, database, benchSQL)
	return database
}

// change runs so many transactions of each kind.
func (e *bench) change(b *testing.B, database string, twenties, singles int) {
	b.Helper()
	// The server has no statistics, and must not choose its plans by luck.
	e.sql(b, database, fmt.Sprintf("SET enable_seqscan = off; CALL change_in_twenties(%d); CALL change_one_by_one(%d)", twenties, singles))
}

// newestSlot is the slot of the database that is not among the known ones.
func (e *bench) newestSlot(b *testing.B, database string, known []string) string {
	b.Helper()
	all := strings.Split(e.sql(b, "postgres", "SELECT slot_name FROM pg_replication_slots WHERE database = '"+database+"'"), "\n")
	fresh := slices.DeleteFunc(all, func(name string) bool { return slices.Contains(known, name) })
	if len(fresh) != 1 {
		b.Fatalf("want one new slot of the database, there are %q", fresh)
	}
	return fresh[0]
}

// copySlot puts a copy of a slot of the database in the place of another.
func (e *bench) copySlot(b *testing.B, database, from, to string) {
	b.Helper()
	e.sql(b, database, fmt.Sprintf(`
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '%[2]s';
SELECT pg_copy_logical_replication_slot('%[1]s', '%[2]s');`, from, to))
}

// dropSlots drops the slots of a database. The server may need a moment to
// notice that the program which read one has ended.
func (e *bench) dropSlots(b *testing.B, database string) {
	b.Helper()
	awaitFor(b, "the slots are free", captureLimit, func() bool {
		return e.sql(b, "postgres", "SELECT count(*) FROM pg_replication_slots WHERE active AND database = '"+database+"'") == "0"
	})
	e.sql(b, "postgres", "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '"+database+"'")
}

// benchClient is one connection of the application whose changes are captured.
type benchClient struct{ *pgx.Conn }

func (e *bench) connect(b *testing.B, database string) benchClient {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), e.pg.SuperuserDSN(database))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	return benchClient{conn}
}

// pingsSQL makes the table that paced transactions insert into.
const pingsSQL = `CREATE TABLE pings (id bigint PRIMARY KEY, note text NOT NULL)`

// An insertPing commits one ping in a transaction of its own.
type insertPing func(id int64) error

// ping is insertPing of Postgres.
func (c benchClient) ping(b *testing.B) insertPing {
	return func(id int64) error {
		_, err := c.Exec(b.Context(), "INSERT INTO pings VALUES ($1, 'as long as a short note is')", id)
		return err
	}
}

// pace commits pings at a steady rate and returns when each COMMIT returned, by
// id from first on. One that comes late does not delay those after it.
func (ping insertPing) pace(b *testing.B, first int64, perSecond int, lasting time.Duration) []time.Time {
	b.Helper()
	n := int(lasting.Seconds() * float64(perSecond))
	done := make([]time.Time, n)
	interval := time.Second / time.Duration(perSecond)
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range done {
		if wait := time.Until(began.Add(time.Duration(i) * interval)); wait > 0 {
			timer.Reset(wait)
			<-timer.C
		}
		if err := ping(first + int64(i)); err != nil {
			b.Fatal(err)
		}
		done[i] = time.Now()
	}
	return done
}
