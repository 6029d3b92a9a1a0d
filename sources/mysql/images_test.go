package mysql

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sources/sourcetest"
)

// afters are the new rows of the streamed changes, each marked when columns of it were completed.
func (r *rig) afters() []string {
	r.Helper()
	var all []string
	for _, c := range r.Changes() {
		if c.Op == changelog.OpCreate || c.Op == changelog.OpUpdate {
			text := c.After
			if c.FromState {
				text += " *"
			}
			all = append(all, text)
		}
	}
	return all
}

func (r *rig) wantAfters(want ...string) {
	r.Helper()
	if got := r.afters(); !slices.Equal(got, want) {
		r.Fatalf("new rows:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A session may send less of a row at any time, whatever the server's own setting says.
func TestPartialImagesAreCompleted(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY, a int, b text, c varchar(9) DEFAULT 'c')", "INSERT INTO t VALUES (1, 10, 'b1', 'c1'), (2, 20, 'b2', NULL)")
		r.Run()
		r.sql("INSERT INTO t VALUES (3, 30, 'b3', 'c3')", "SET binlog_row_image = MINIMAL",
			"UPDATE t SET a = 11 WHERE id = 1", "UPDATE t SET c = NULL WHERE id = 3", "INSERT INTO t (id, a) VALUES (4, 40)",
			"UPDATE t SET id = 5 WHERE id = 4", "UPDATE t SET b = 'b5' WHERE id = 5",
			"SET binlog_row_image = NOBLOB", "UPDATE t SET a = 21 WHERE id = 2", "UPDATE t SET b = 'bb' WHERE id = 3")
		r.Sync()
		r.wantAfters("3|30|b3|c3", "1|11|b1|c1 *", `3|30|b3|\N *`, `4|40|\N|c`, `5|40|\N|c *`, "5|40|b5|c *", `2|21|b2|\N *`, `3|30|bb|\N`)
		r.same("t")
		r.Restart()
		r.sql("SET binlog_row_image = MINIMAL", "UPDATE t SET a = a + 1", "DELETE FROM t WHERE id = 1", "BEGIN", "UPDATE t SET c = 'x' WHERE id = 5",
			"UPDATE t SET id = 6 WHERE id = 5", "UPDATE t SET a = 0 WHERE id = 6", "COMMIT", "SET binlog_row_image = FULL", "UPDATE t SET a = 1 WHERE id = 2")
		r.Sync()
		r.same("t")
		for _, c := range r.Changes() {
			if c.Op == changelog.OpDelete && (c.Image != changelog.ImageKey || c.Before != "1|~|~|~") {
				t.Errorf("a delete with image %d and %s", c.Image, c.Before)
			}
		}
	})
}

// Partial images come while their rows are not in the log yet.
func TestPartialImagesDuringACopy(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.sql("CREATE TABLE t (id int PRIMARY KEY, a int, b text)")
		fill(r, "t", 25_000)
		r.o.CopyRowsPerSecond = 20_000 // so that it takes a while
		r.sql("SET binlog_row_image = MINIMAL")
		r.Start()
		r.Eventually("the copy to begin", func() bool { return r.Copies("t") == 1 })
		for reached := r.Current(); !reached(r.Progress().Position); {
			r.sql("UPDATE t SET a = a + 1 WHERE id % 5000 = 7", "UPDATE t SET b = 'changed' WHERE id % 5000 = 8", "UPDATE t SET id = id + 100000 WHERE id IN (24000, 3)",
				"DELETE FROM t WHERE id = 124000", "INSERT INTO t (id, a) VALUES (124000, 1)", "DELETE FROM t WHERE id = 124000")
		}
		r.sql("UPDATE t SET a = a + 1 WHERE id % 1000 = 7")
		r.Sync()
		r.same("t")
	})
}

// fill gives a table of (id, a, b) so many rows.
func fill(r *rig, table string, rows int) {
	r.Helper()
	r.sql("INSERT INTO " + table + " VALUES (0, 0, 'b')")
	for n := 1; n < rows; n *= 2 {
		r.sql("INSERT INTO " + table + " SELECT id + " + strconv.Itoa(n) + ", a + 1, b FROM " + table + " WHERE id + " + strconv.Itoa(n) + " < " + strconv.Itoa(rows))
	}
}

// Differences of JSON values are made whole, with full images and with minimal ones.
func TestPartialJSONIsMadeWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t, testservers.SharedMySQL(t, testservers.FlavourMySQL),
		"CREATE TABLE t (id int PRIMARY KEY, a json, n int, b json, v varchar(9))",
		`INSERT INTO t VALUES (1, '{"a": 1, "b": [1, 2, 3], "c": "`+strings.Repeat("x", 300)+`"}', 1, '[1, {"k": "v"}]', 'v'), (2, NULL, 2, '{}', NULL)`)
	r.Run()
	const partial = "SET binlog_row_value_options = PARTIAL_JSON"
	r.sql(partial, "UPDATE t SET a = json_set(a, '$.a', 2), n = 5 WHERE id = 1", "UPDATE t SET a = json_remove(a, '$.b[1]') WHERE id = 1",
		"UPDATE t SET a = json_array_append(a, '$.b', 'é'), b = json_replace(b, '$[1].k', 'w') WHERE id = 1",
		"SET binlog_row_image = MINIMAL", "UPDATE t SET a = json_set(a, '$.d', json_object('e', 1.5)) WHERE id = 1",
		"UPDATE t SET v = 'w' WHERE id = 1", "UPDATE t SET a = json_set(a, '$.a', NULL) WHERE id = 1", "UPDATE t SET id = 3, b = json_set(b, '$[0]', 7) WHERE id = 1",
		"UPDATE t SET a = '{}' WHERE id = 2", "SET binlog_row_image = NOBLOB", "UPDATE t SET a = json_set(a, '$.x', 1) WHERE id = 2")
	r.Sync()
	r.sameJSON("t")
	for _, c := range r.Changes() {
		if c.Op == changelog.OpUpdate && strings.Contains(c.After, "~") {
			t.Errorf("an update is not complete: %s", c.After)
		}
	}
	r.Restart()
	r.sql(partial, "UPDATE t SET a = json_set(a, '$.a', 3), b = json_array_append(b, '$', 1) WHERE id = 3")
	r.Sync()
	r.sameJSON("t")
}

// sameJSON is same, with JSON in one form.
func (r *rig) sameJSON(table string) {
	r.Helper()
	plain := strings.NewReplacer(" ", "")
	got, want := r.Rows(table), r.rows(table)
	for _, rows := range [][]string{got, want} {
		for i := range rows {
			rows[i] = plain.Replace(rows[i])
		}
	}
	if surplus, missing := sourcetest.Except(got, want), sourcetest.Except(want, got); len(surplus)+len(missing) > 0 {
		r.Fatalf("table %s:\n%s\nwant:\n%s", table, strings.Join(surplus, "\n"), strings.Join(missing, "\n"))
	}
}

// PARTIAL_JSON changes come while the table is copied: there is nothing yet to which they could be applied.
func TestPartialJSONDuringACopy(t *testing.T) {
	t.Parallel()
	r := newRig(t, testservers.SharedMySQL(t, testservers.FlavourMySQL), "CREATE TABLE t (id int PRIMARY KEY, a int, b json)")
	r.sql(`INSERT INTO t VALUES (0, 0, '{"k": 1, "long": "` + strings.Repeat("x", 100) + `"}')`)
	for n := 1; n < 20_000; n *= 2 {
		r.sql("INSERT INTO t SELECT id + " + strconv.Itoa(n) + ", a, b FROM t")
	}
	r.o.CopyRowsPerSecond = 25_000
	r.sql("SET binlog_row_value_options = PARTIAL_JSON", "SET binlog_row_image = MINIMAL")
	r.Start()
	r.Eventually("the copy to begin", func() bool { return r.Copies("t") == 1 })
	reached := r.Current()
	r.sql("UPDATE t SET b = json_set(b, '$.k', id) WHERE id % 100 = 7", "UPDATE t SET b = json_set(b, '$.k', json_array(id)) WHERE id % 1000 = 7")
	r.Eventually("the copy", func() bool { return reached(r.Progress().Position) })
	r.sql("UPDATE t SET b = json_set(b, '$.k', 2) WHERE id % 3000 = 7")
	r.Sync()
	r.sameJSON("t")
}

// A server may leave the names of columns out of its binlog.
func TestBinlogWithoutNamesOfColumns(t *testing.T) {
	eachAlone(t, func(t *testing.T, r *rig) {
		value := "MINIMAL"
		if r.maria() {
			value = "NO_LOG"
		}
		r.global("binlog_row_metadata", value)
		r.sql("CREATE TABLE t (id int unsigned PRIMARY KEY, a varchar(9), e enum('x', 'y'), n bigint unsigned)", "INSERT INTO t VALUES (4000000000, 'a', 'x', 18446744073709551615)")
		r.Run()
		r.sql("INSERT INTO t VALUES (1, 'é', 'y', 1)", "UPDATE t SET a = NULL", "CREATE TABLE late (id int PRIMARY KEY, v text)", "INSERT INTO late VALUES (1, 'v')")
		r.Sync()
		r.same("t", "late")
		r.sql("ALTER TABLE t ADD b int DEFAULT 3", "INSERT INTO t VALUES (2, 'b', 'x', 2, 4)")
		r.Sync()
		r.same("t", "late")
		r.Restart()
		r.sql("UPDATE t SET b = 9 WHERE id = 1")
		r.Sync()
		r.same("t", "late")
		// Behind a change of the columns, nothing tells what the older rows mean.
		r.Halt()
		r.sql("INSERT INTO t VALUES (3, 'c', 'x', 3, 5)", "ALTER TABLE t DROP a")
		r.Start()
		r.WantStop(changelog.StopSchema, "the binlog does not name them")
	})
}
