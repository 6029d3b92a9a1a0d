package mysql

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cdc/e2e/testservers"
	"cdc/schema"
	"cdc/sources"
	"cdc/sources/sourcetest"
)

// keyed is a table with a key of some type, and its rows.
type keyedTable struct {
	where  testservers.Flavour // the server that has the type; both when empty
	body   string
	values func(i int) string
	suffix string
	// scans says that the servers do not find a place in the index for it.
	scans bool
}

const keyedRows = 120

var keyedTables = map[string]keyedTable{
	"int":       {body: "k INT PRIMARY KEY, v INT", values: func(i int) string { return fmt.Sprintf("%d, %d", i*3-100, i) }},
	"unsigned":  {body: "k BIGINT UNSIGNED PRIMARY KEY, v INT", values: func(i int) string { return fmt.Sprintf("18446744073709551615 - %d, %d", i, i) }},
	"bigint":    {body: "k BIGINT PRIMARY KEY, v INT", values: func(i int) string { return fmt.Sprintf("-9223372036854775808 + %d, %d", i, i) }},
	"general":   {body: "k VARCHAR(30) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT", values: numbered(`CONCAT(ELT(1 + %[1]d %% 5, 'É', 'z ', 'A\t', 'ß😀', 'a!'), %[1]d)`)},
	"default":   {body: "k VARCHAR(30) PRIMARY KEY, v INT", values: numbered(`CONCAT(ELT(1 + %[1]d %% 5, 'É', 'z ', 'A\t', 'ß😀', 'a!'), %[1]d)`)},
	"padded":    {body: "k VARCHAR(200) CHARACTER SET latin1 PRIMARY KEY, v INT", values: numbered(`IF(%[1]d %% 2, CONCAT('x', REPEAT('\t', %[1]d)), CONCAT('x ', REPEAT('é', %[1]d)))`)},
	"char":      {body: "k CHAR(20) CHARACTER SET latin1 COLLATE latin1_german2_ci PRIMARY KEY, v INT", values: numbered(`CONCAT('ä', %d)`)},
	"ucs2":      {body: "k VARCHAR(20) CHARACTER SET ucs2 PRIMARY KEY, v INT", values: numbered(`CONCAT('漢', %d)`)},
	"gbk":       {body: "k VARCHAR(20) CHARACTER SET gbk PRIMARY KEY, v INT", values: numbered(`CONCAT('漢', %d)`)},
	"quotes":    {body: "k VARCHAR(20) COLLATE utf8mb4_bin PRIMARY KEY, v INT", values: numbered(`CONCAT('''\\"', CHAR(%d), 0)`)},
	"binary":    {body: "k BINARY(16) PRIMARY KEY, v INT", values: numbered(`LEFT(UNHEX(SHA2(%d, 256)), 16)`)},
	"varbinary": {body: "k VARBINARY(200) PRIMARY KEY, v INT", values: numbered(`REPEAT(UNHEX('00'), %d)`)},
	"decimal":   {body: "k DECIMAL(65,30) PRIMARY KEY, v INT", values: numbered(`-12345678901234567890123456789012345.0 + %d / 7`)},
	"float":     {body: "k FLOAT PRIMARY KEY, v INT", values: numbered(`(%d - 60) * 1.1e-3`)},
	"double":    {body: "k DOUBLE PRIMARY KEY, v INT", values: numbered(`(%d - 60) * 1.1e100`)},
	"date": {body: "k DATE, l INT, v INT, PRIMARY KEY (k, l)", values: func(i int) string {
		return fmt.Sprintf("'%s', %d, %d", []string{"0000-00-00", "2020-00-00", "2020-02-00", "2020-02-31", "2020-02-29", "9999-12-31"}[i%6], i, i)
	}},
	"datetime": {body: "k DATETIME(6), l INT, v INT, PRIMARY KEY (k, l)", values: func(i int) string {
		return fmt.Sprintf("'%s', %d, %d", []string{"0000-00-00", "2020-02-31 10:11:12.5", "2020-02-29 00:00:00.000001", "9999-12-31 23:59:59.999999"}[i%4], i, i)
	}},
	"timestamp": {body: "k TIMESTAMP(3) NOT NULL DEFAULT 0, l INT, v INT, PRIMARY KEY (k, l)", values: func(i int) string {
		return fmt.Sprintf("'%s', %d, %d", []string{"0000-00-00", "1970-01-02 00:00:00.123", "2038-01-18 03:14:07.999"}[i%3], i, i)
	}},
	"time": {body: "k TIME(2), l INT, v INT, PRIMARY KEY (k, l)", values: func(i int) string {
		return fmt.Sprintf("'%s', %d, %d", []string{"-838:59:59", "-00:00:00.01", "00:00:00", "838:59:58.99"}[i%4], i, i)
	}},
	"year":        {body: "k YEAR, l INT, v INT, PRIMARY KEY (k, l)", values: func(i int) string { return fmt.Sprintf("%d, %d, %d", []int{0, 1901, 2024, 2155}[i%4], i, i) }},
	"enum":        {body: "k ENUM('z','a','it''s') CHARACTER SET latin1, l INT, v INT, PRIMARY KEY (k, l)", values: func(i int) string { return fmt.Sprintf("%d, %d, %d", i%4, i, i) }},
	"enumempty":   {body: "k ENUM('z','','ÿ'), l INT, v INT, PRIMARY KEY (k, l)", values: func(i int) string { return fmt.Sprintf("%d, %d, %d", i%4, i, i) }, scans: true},
	"set":         {body: "k SET('z','a','m'), l INT, v INT, PRIMARY KEY (k, l)", values: func(i int) string { return fmt.Sprintf("%d, %d, %d", i%8, i, i) }, scans: true},
	"bit":         {body: "k BIT(64), l INT, v INT, PRIMARY KEY (k, l)", values: func(i int) string { return fmt.Sprintf("18446744073709551615 - %d, %d, %d", i%5, i, i) }},
	"composite":   {body: "a INT, b VARCHAR(20), c DATETIME(6), v INT, PRIMARY KEY (b, a, c)", values: func(i int) string { return fmt.Sprintf("%d, '%c', '2020-01-01 00:00:00.%06d', %d", i%3, 'a'+i%4, i, i) }},
	"down":        {body: "a INT, b VARCHAR(20), c INT, v INT, PRIMARY KEY (b DESC, a, c DESC)", values: func(i int) string { return fmt.Sprintf("%d, '%c', %d, %d", i%3, 'a'+i%4, i, i) }},
	"downenum":    {body: "k ENUM('z','a','m'), l INT, v INT, PRIMARY KEY (k DESC, l)", values: func(i int) string { return fmt.Sprintf("%d, %d, %d", i%4, i, i) }},
	"unique":      {body: "v INT, `k``'\"ä 漢` INT NOT NULL, UNIQUE `in``d 'ä` (`k``'\"ä 漢`)", values: func(i int) string { return fmt.Sprintf("%d, %d", i, -i) }},
	"o``dd 't\"ä": {body: "k INT PRIMARY KEY, v INT", values: func(i int) string { return fmt.Sprintf("%d, %d", i, i) }},
	"partitioned": {body: "k INT PRIMARY KEY, v INT", values: func(i int) string { return fmt.Sprintf("%d, %d", i, i) }, suffix: "PARTITION BY HASH (k) PARTITIONS 5", scans: true},
	"virtual":     {body: "k INT PRIMARY KEY, v INT AS (k + 1) VIRTUAL, s INT AS (k + 2) STORED, i INT INVISIBLE", values: func(i int) string { return fmt.Sprintf("%d, DEFAULT, DEFAULT", i) }},
	"myisam":      {body: "k INT PRIMARY KEY, v INT", values: func(i int) string { return fmt.Sprintf("%d, %d", i, i) }, suffix: "ENGINE=MyISAM"},
	"uuid": {where: testservers.FlavourMariaDB, body: "k UUID PRIMARY KEY, v INT", values: func(i int) string {
		return fmt.Sprintf("'%08x-%04x-%d000-8000-%012x', %d", i*7919%100_000, i%13, 1+i%7, i%11, i)
	}},
	"inet6":     {where: testservers.FlavourMariaDB, body: "k INET6 PRIMARY KEY, v INT", values: numbered(`CONCAT('::', %d)`)},
	"inet4":     {where: testservers.FlavourMariaDB, body: "k INET4 PRIMARY KEY, v INT", values: numbered(`CONCAT('1.2.3.', %d)`)},
	"uca1400":   {where: testservers.FlavourMariaDB, body: "k VARCHAR(20) COLLATE uca1400_ai_ci PRIMARY KEY, v INT", values: numbered(`CONCAT('Ä', %d)`)},
	"versioned": {where: testservers.FlavourMariaDB, body: "k INT PRIMARY KEY, v INT", values: func(i int) string { return fmt.Sprintf("%d, %d", i, i) }, suffix: "WITH SYSTEM VERSIONING"},
}

// numbered is values whose key an expression of the row's number gives.
func numbered(key string) func(int) string {
	return func(i int) string { return fmt.Sprintf(key, i) + fmt.Sprintf(", %d", i) }
}

func (k *keyedTable) create(name string) []string {
	statements := []string{"SET NAMES utf8mb4", "CREATE TABLE `" + name + "` (" + k.body + ") " + k.suffix}
	values := make([]string, keyedRows)
	for i := range values {
		values[i] = "(" + k.values(i) + ")"
	}
	return append(statements, "INSERT INTO `"+name+"` VALUES "+strings.Join(values, ", "))
}

// TestChunksCoverTablesWithKeysOfEveryType copies each table in ranges of a few rows, and expects the table: nothing lost at an edge,
// nothing twice. The places that ranges begin at must be found in the index.
func TestChunksCoverTablesWithKeysOfEveryType(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		r.sql("ALTER DATABASE CHARACTER SET utf8mb4")
		for name, k := range keyedTables {
			if k.where == "" || k.where == r.m.Flavour() {
				r.sql(append([]string{"SET sql_mode = 'ALLOW_INVALID_DATES'"}, k.create(name)...)...)
				if !r.maria() { // it takes a table for empty until it has counted
					r.sql("ANALYZE TABLE `" + name + "`")
				}
			}
		}
		if r.maria() {
			r.sql("UPDATE versioned SET v = -v WHERE k < 50", "DELETE FROM versioned WHERE k > 100")
		}
		l := r.openLog()
		w := l.standing()
		ver := r.verification()
		for name, k := range keyedTables {
			if k.where != "" && k.where != r.m.Flavour() {
				continue
			}
			name = strings.ReplaceAll(name, "``", "`")
			t.Run(name, func(t *testing.T) {
				version := r.version(name)
				if err := l.copier(w, 2, 7).Copy(t.Context(), version, ""); err != nil {
					t.Fatal(err)
				}
				got, chunks := l.rows(name)
				want := l.verified(ver, version)
				r.wantRows(name, got, want)
				if len(want) < keyedRows || chunks < keyedRows/7 {
					t.Errorf("%d rows in %d chunks", len(want), chunks)
				}
				if !k.scans {
					checkIndexUse(t, r, version)
				}
			})
		}
	})
}

// checkIndexUse counts the rows that the server looks at for a few in the middle of a table.
func checkIndexUse(t *testing.T, r *readRig, version *schema.Table) {
	t.Helper()
	reader, err := r.s.openReader(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	c := reader.(*chunkReader)
	middle, err := c.Bound(t.Context(), version, "", keyedRows/2, nil)
	if err != nil {
		t.Fatal(err)
	}
	table, err := c.rangesOf(version)
	if err != nil {
		t.Fatal(err)
	}
	const few = 5
	end, err := c.Bound(t.Context(), version, middle.UpTo, few, nil)
	if err != nil {
		t.Fatal(err)
	}
	bound, err := table.boundSQL(middle.UpTo, few)
	if err != nil {
		t.Fatal(err)
	}
	where, err := table.where(middle.UpTo, end.UpTo)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{bound, table.selects + where + " ORDER BY " + table.order.by() + " LIMIT 1000"} {
		before := handled(t, c.session)
		if err := c.exec(sql); err != nil {
			t.Fatal(err)
		}
		if n := handled(t, c.session) - before; n > 3*few {
			t.Errorf("%d rows looked at for %d: %s", n, few, sql)
		}
	}
}

// handled is how many rows the session's statements have looked at.
func handled(t *testing.T, c *session) (n uint64) {
	t.Helper()
	rows, err := c.query("SHOW SESSION STATUS WHERE Variable_name IN ('Handler_read_next', 'Handler_read_prev', 'Handler_read_first', 'Handler_read_last', 'Handler_read_key')")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		n += number(row[1])
	}
	return n
}

// TestWideRowsAreCutIntoChunks has rows of which few fit a chunk, and a range of which many do not.
func TestWideRowsAreCutIntoChunks(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		r.sql("CREATE TABLE t (k INT PRIMARY KEY, v MEDIUMTEXT)", "INSERT INTO t VALUES (0, 'x')")
		for i := 1; i <= 12; i++ {
			r.sql(fmt.Sprintf("INSERT INTO t VALUES (%d, REPEAT('x', 900000 + %d))", i, i))
		}
		l := r.openLog()
		w := l.standing()
		version := r.version("t")
		if err := l.copier(w, 2, 1000).Copy(t.Context(), version, ""); err != nil {
			t.Fatal(err)
		}
		got, chunks := l.rows("t")
		r.wantRows("t", got, r.verified(r.verification(), version))
		if chunks < 3 {
			t.Errorf("%d chunks of 4 MiB for 12 MB", chunks)
		}
	})
}

// TestCopyGoesOnWhereItEnded takes a copy up from a cursor.
func TestCopyGoesOnWhereItEnded(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		k := keyedTables["composite"]
		r.sql(k.create("t")...)
		l := r.openLog()
		w := l.standing()
		version := r.version("t")
		ctx, cancel := context.WithCancel(t.Context())
		half := l.copier(w, 1, 10)
		rows := 0
		half.Appended = func(_ *schema.Table, n int) {
			if rows += n; rows >= keyedRows/2 {
				cancel()
			}
		}
		if err := half.Copy(ctx, version, ""); err == nil {
			t.Fatal("the copy came to its end")
		}
		part, _ := l.rows("t")
		if err := l.copier(w, 2, 10).Copy(t.Context(), version, ""); err != nil {
			t.Fatal(err)
		}
		got, _ := l.rows("t")
		if len(part) < keyedRows/2 || len(part) == len(got) {
			t.Errorf("%d rows of %d in the first part", len(part), len(got))
		}
		r.wantRows("t", got, r.verified(r.verification(), version))
	})
}

// TestRangesOfIntegersAreCutLikeTheLast cuts where the server need not count, and does not trust a measure where keys are rare or end.
func TestRangesOfIntegersAreCutLikeTheLast(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		const rows = 100
		for _, k := range []struct {
			name, column string
			first        string // key; there are ten ranges of rows with a key in two, then a gap, then three more rows
			gap          string
		}{
			{"negative", "INT", "-1000", "1000000000"},
			{"large", "BIGINT UNSIGNED", "9223372036854775000", "18446744073709551610"},
			{"tail", "BIGINT", "-9223372036854775808", "9223372036854775800"},
			{"descending", "INT", "1", "5000"},
		} {
			order := ""
			if k.name == "descending" {
				order = " DESC"
			}
			r.sql("CREATE TABLE "+k.name+" (k "+k.column+" NOT NULL, v INT, PRIMARY KEY (k"+order+"))",
				"INSERT INTO "+k.name+" WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 999) SELECT CAST("+k.first+" AS "+castOf(k.column)+") + 2 * i, i FROM n",
				"INSERT INTO "+k.name+" VALUES ("+k.gap+", 1), ("+k.gap+" + 1, 2), ("+k.gap+" + 5, 3)")
			total, looked := cutTable(t, r, k.name, rows)
			if total != 1003 {
				t.Errorf("%s: %d rows in the ranges", k.name, total)
			}
			if counted := k.name == "descending"; counted == (looked < 6*rows) {
				t.Errorf("%s: the server looked at %d rows to cut the ranges", k.name, looked)
			}
		}
	})
}

// TestRangeWithMoreRowsThanPlannedIsCopiedInSeveralChunks has a measure that was taken where keys are rare swallow many rows. No chunk
// becomes large by it, and all rows are waited for.
func TestRangeWithMoreRowsThanPlannedIsCopiedInSeveralChunks(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		const rare, dense, rows = 400, 999, 50
		r.sql("CREATE TABLE t (k INT PRIMARY KEY)",
			fmt.Sprintf("INSERT INTO t WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT 1000 * i FROM n", rare),
			fmt.Sprintf("INSERT INTO t WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT 500 * %d + i FROM n", dense, rare))
		l := r.openLog()
		c := l.copier(l.standing(), 1, rows)
		copied, large := 0, 0
		var waited atomic.Int64
		c.Appended = func(_ *schema.Table, n int) { copied, large = copied+n, max(large, n) }
		c.Throttle = func(_ context.Context, n int) error { waited.Add(int64(n)); return nil }
		if err := c.Copy(t.Context(), r.version("t"), ""); err != nil {
			t.Fatal(err)
		}
		if copied != rare+dense || large != 2*rows || waited.Load() < int64(copied) {
			t.Errorf("%d rows copied, %d in the largest chunk, %d waited for", copied, large, waited.Load())
		}
	})
}

// cutTable cuts a table into ranges of so many keys, and counts their rows and what the server looked at to cut them.
func cutTable(t *testing.T, r *readRig, name string, rows int) (total int, looked uint64) {
	t.Helper()
	reader, err := r.s.openReader(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	version, c := r.version(name), reader.(*chunkReader)
	table, err := c.rangesOf(version)
	if err != nil {
		t.Fatal(err)
	}
	var last *sources.Measured
	for after := ""; last == nil || !last.Last; after = last.UpTo {
		before := handled(t, c.session)
		bound, err := c.Bound(t.Context(), version, after, rows, last)
		if err != nil {
			t.Fatal(err)
		}
		looked += handled(t, c.session) - before
		where, err := table.where(after, bound.UpTo)
		if err != nil {
			t.Fatal(err)
		}
		n, err := c.query("SELECT k FROM " + table.info.from() + where)
		if err != nil {
			t.Fatal(err)
		}
		if len(n) > rows+1 || len(n) == 0 {
			t.Errorf("%s: the range %+v has %d rows", name, bound, len(n))
		}
		total, last = total+len(n), &sources.Measured{Range: bound, Rows: len(n)}
	}
	return total, looked
}

func castOf(column string) string {
	if strings.HasSuffix(column, "UNSIGNED") {
		return "UNSIGNED"
	}
	return "SIGNED"
}

// TestCursorsOfAnotherOrderAreRefused turns a key around under a cursor.
func TestCursorsOfAnotherOrderAreRefused(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		r.sql("CREATE TABLE t (k VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY)", "INSERT INTO t VALUES ('a'), ('B'), ('c'), ('D')")
		version := r.version("t")
		first, err := r.s.openReader(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		bound, err := first.Bound(t.Context(), version, "", 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.sql("ALTER TABLE t MODIFY k VARCHAR(9) COLLATE utf8mb4_bin")
		second, err := r.s.openReader(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		if _, err := second.Bound(t.Context(), version, bound.UpTo, 2, nil); err == nil || !strings.Contains(err.Error(), "anew") {
			t.Errorf("a cursor of another order: %v", err)
		}
		l := r.openLog()
		w := l.standing()
		tc, _, err := w.CopyTable(t.Context(), version, "")
		if err != nil {
			t.Fatal(err)
		}
		ch := tc.Open()
		defer ch.Close()
		if _, err := first.Fill(t.Context(), ch, sources.Range{UpTo: bound.UpTo}); err == nil || !strings.Contains(err.Error(), "anew") {
			t.Errorf("a reader from before the change: %v", err)
		}
		for _, cursor := range []string{"", "x", "x:1", bound.UpTo + ",x61", strings.TrimSuffix(bound.UpTo, "2"), bound.UpTo + "'"} {
			if cursor == "" {
				continue
			}
			if _, err := first.Bound(t.Context(), version, cursor, 2, nil); err == nil {
				t.Errorf("cursor %q was taken", cursor)
			}
		}
	})
}

// TestTablesCopiedWhileTheyAreWrittenEqualTheSource captures with everything in place while sessions write, and compares the log with
// a snapshot of the source. Rows move from key to key, go and come back.
func TestTablesCopiedWhileTheyAreWrittenEqualTheSource(t *testing.T) {
	eachReadRig(t, func(t *testing.T, r *readRig) {
		r.sql("CREATE TABLE t (k INT, l VARCHAR(20), v INT, w VARCHAR(250), PRIMARY KEY (l, k))")
		for i := range 40 {
			values := make([]string, 2000)
			for j := range values {
				k := i*len(values) + j
				values[j] = fmt.Sprintf("(%d, 'L%d', 0, REPEAT('w', %d))", k, k%7, k%250)
			}
			r.sql("INSERT INTO t VALUES " + strings.Join(values, ","))
		}
		done := make(chan struct{})
		var writers sync.WaitGroup
		for n := range 3 {
			writers.Add(1)
			go func() {
				defer writers.Done()
				r.write(n, done)
			}()
		}
		l := r.openLog()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- sources.Ingest(ctx, sources.IngestOptions{
				Log: l.log, State: l.state, Source: r.s, Name: "shop", Logger: r.s.log, Unlogged: func(*sources.Stop) error { return nil },
			})
		}()
		defer func() {
			cancel()
			<-ended
		}()
		time.AfterFunc(3*time.Second, func() { close(done) })
		writers.Wait()
		reached, err := r.s.Current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(sourcetest.Patience); ; {
			p := l.log.Catalog().Progress(l.log.Catalog().NextSource("shop"))
			if p.Position != "" && reached(p.Position) {
				break
			}
			select {
			case err := <-ended:
				ended <- err
				t.Fatalf("capture ended: %v", err)
			case <-time.After(10 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				t.Fatalf("no end: %+v", r.s.Progress())
			}
		}
		got, chunks := l.rowsWhole("t")
		r.wantRows("t", got, r.verified(r.verification(), r.version("t")))
		if chunks < 4 {
			t.Errorf("%d rows in %d chunks", len(got), chunks)
		}
	})
}

// write changes rows at random until done.
func (r *readRig) write(seed int, done <-chan struct{}) {
	session, err := r.m.Open(context.Background(), r.m.Superuser(), r.db)
	if err != nil {
		r.Errorf("%v", err)
		return
	}
	defer session.Close()
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
		}
		k := random.IntN(80_000)
		sql := fmt.Sprintf("UPDATE t SET v = v + 1, w = 'up %d' WHERE k = %d AND l = 'L%d'", i, k, k%7)
		switch random.IntN(8) {
		case 0:
			sql = fmt.Sprintf("DELETE FROM t WHERE k = %d AND l = 'L%d'", k, k%7)
		case 1:
			sql = fmt.Sprintf("REPLACE INTO t VALUES (%d, 'L%d', 1, 'again')", k, k%7)
		case 2:
			sql = fmt.Sprintf("UPDATE IGNORE t SET l = 'L%d' WHERE k = %d AND l = 'L%d'", random.IntN(7), k, k%7)
		}
		if _, err := session.SQL(context.Background(), sql); err != nil && !strings.Contains(err.Error(), "1213") {
			r.Errorf("%s: %v", sql, err)
			return
		}
	}
}
