//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// mysqlNumbersSQL makes the numbers from 0 to 999, of which rows are made.
const mysqlNumbersSQL = `
CREATE TABLE digits (d INT PRIMARY KEY);
INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
CREATE TABLE numbers (n INT PRIMARY KEY);
INSERT INTO numbers SELECT a.d + 10 * b.d + 100 * c.d FROM digits a, digits b, digits c`

// mysqlMillions counts from 0 to ten millions in mysqlMillionsFrom.
const (
	mysqlMillions     = "(a.n + 1000 * b.n + 1000000 * m.d)"
	mysqlMillionsFrom = "digits m, numbers b, numbers a"
)

// A mysqlShape is a table whose rows are of one kind, and how its rows are made
// of the number n.
type mysqlShape struct {
	name    string
	columns string
	row     string // expressions over n, the id first
	update  string // of some of the columns
	// transactions of 100 changes are in the backlog.
	transactions int
}

// Transactions of a backlog insert 80 rows and update 20 of them.
const (
	shapeInserts = 80
	shapeUpdates = 20
)

// mysqlShapes are narrow rows, as in a table of many facts, wide ones, as
// applications grow them, and ones that are mostly text.
var mysqlShapes = []mysqlShape{
	{
		name:    "narrow",
		columns: "id BIGINT PRIMARY KEY, a INT NOT NULL, b INT NOT NULL, note VARCHAR(8)",
		row:     "n, n % 1000, FLOOR(RAND() * 1e6), SUBSTR(SHA2(n, 256), 1, 8)", update: "b = b + 1", transactions: 24_000,
	},
	{
		name: "wide",
		columns: `id BIGINT PRIMARY KEY, customer INT NOT NULL, shop INT NOT NULL, status ENUM('new', 'paid', 'packed', 'shipped') NOT NULL,
	net DECIMAL(12,2) NOT NULL, tax DECIMAL(12,2) NOT NULL, total DECIMAL(12,2) NOT NULL, weight DOUBLE, rating FLOAT, flags BIGINT UNSIGNED NOT NULL,
	small SMALLINT, tiny TINYINT UNSIGNED, first_name VARCHAR(40), last_name VARCHAR(40), street VARCHAR(80), city VARCHAR(40), country CHAR(2),
	placed DATETIME(3) NOT NULL, paid DATETIME(3), shipped TIMESTAMP NULL, due DATE, slot TIME, origin INT, comment VARCHAR(200)`,
		row: `n, FLOOR(RAND() * 50000), n % 40, 1 + n % 4, 90.5 + n % 100, 19.25, 109.75 + n % 100, RAND() * 10, n % 5, n * 7919, n % 3000, n % 200,
	CONCAT('first ', n % 700), CONCAT('last name ', n % 9000), CONCAT(n % 300, ' Long Street'), CONCAT('city ', n % 90), 'NL',
	'2024-01-01 10:00:00.125' + INTERVAL n SECOND, '2024-01-02 10:00:00.5' + INTERVAL n SECOND, NULL, '2024-02-01' + INTERVAL n % 300 DAY, '12:30:00',
	NULL, CONCAT('please ring twice, and leave it at number ', n % 400)`,
		update: "status = 'paid', paid = paid + INTERVAL 1 SECOND", transactions: 6_000,
	},
	{
		name:    "text",
		columns: "id BIGINT PRIMARY KEY, title VARCHAR(80) NOT NULL, body TEXT NOT NULL, edited DATETIME NOT NULL",
		row:     "n, CONCAT('title ', n), (SELECT text FROM bodies WHERE bodies.n = q.n % 1000), '2024-01-01' + INTERVAL n SECOND",
		update:  "title = CONCAT(title, '*'), edited = edited + INTERVAL 1 SECOND", transactions: 1_200,
	},
}

func (s *mysqlShape) changes() int { return scaled(s.transactions) * (shapeInserts + shapeUpdates) }

// make makes the empty table.
func (s *mysqlShape) make(b *testing.B, e *mysqlBench, database string) {
	b.Helper()
	e.sql(b, database, "CREATE TABLE "+s.name+" ("+s.columns+")")
}

// fill runs the backlog's transactions.
func (s *mysqlShape) fill(b *testing.B, e *mysqlBench, database string) {
	b.Helper()
	e.sql(b, database, fmt.Sprintf(`
CREATE PROCEDURE fill_%[1]s(transactions INT)
BEGIN
	DECLARE top BIGINT DEFAULT 0;
	DECLARE i INT DEFAULT 0;
	WHILE i < transactions DO
		START TRANSACTION;
		INSERT INTO %[1]s SELECT %[2]s FROM (SELECT top + numbers.n AS n FROM numbers WHERE numbers.n < %[4]d) q;
		UPDATE %[1]s SET %[3]s WHERE id BETWEEN top AND top + %[5]d;
		COMMIT;
		SET top = top + %[4]d, i = i + 1;
	END WHILE;
END;
CALL fill_%[1]s(%[6]d)`, s.name, s.row, s.update, shapeInserts, shapeUpdates-1, scaled(s.transactions)))
}

// Texts are of words, as texts are, so that they compress as texts do.
const (
	bodyCount    = 1000
	bodyWords    = 300 // on average, of some 6 letters
	bodyLanguage = 3000
)

// newShapes makes a database with what the rows of the shapes are made of.
func (e *mysqlBench) newShapes(b *testing.B) string {
	b.Helper()
	database := e.server.Database(b)
	e.sql(b, database, mysqlNumbersSQL+"; CREATE TABLE bodies (n INT PRIMARY KEY, text TEXT NOT NULL)")
	rng := rand.New(rand.NewPCG(rowsSeed, 0))
	words := make([]string, bodyLanguage)
	for i := range words {
		letters := make([]byte, 2+rng.IntN(9))
		for j := range letters {
			letters[j] = 'a' + byte(rng.IntN(26))
		}
		words[i] = string(letters)
	}
	var rows []string
	for n := range bodyCount {
		text := make([]string, 1+rng.IntN(2*bodyWords))
		for i := range text {
			// Some words are much more frequent than others.
			text[i] = words[int(float64(bodyLanguage)*rng.Float64()*rng.Float64()*rng.Float64())]
		}
		rows = append(rows, fmt.Sprintf("(%d, '%s')", n, strings.Join(text, " ")))
	}
	e.sql(b, database, "INSERT INTO bodies VALUES "+strings.Join(rows, ",\n"))
	return database
}

// mysqlOrdersSQL is benchSQL for MySQL: transactions of twenty changes and of one.
const mysqlOrdersSQL = `
CREATE TABLE orders (
	id       BIGINT PRIMARY KEY,
	customer INT NOT NULL,
	amount   DECIMAL(12,2) NOT NULL,
	status   VARCHAR(20) NOT NULL,
	note     TEXT,
	placed   DATETIME(6) NOT NULL
);

CREATE PROCEDURE insert_orders(first BIGINT, last BIGINT)
	INSERT INTO orders
	SELECT first + n, FLOOR(RAND() * 50000), ROUND(RAND() * 900, 2), ELT(1 + FLOOR(RAND() * 4), 'new', 'paid', 'packed', 'shipped'),
	       CONCAT('gift for ', SUBSTR(SHA2(RAND(), 256), 1, 12)), NOW(6)
	FROM numbers WHERE n <= last - first;

CREATE PROCEDURE change_in_twenties(transactions INT)
BEGIN
	DECLARE top BIGINT DEFAULT (SELECT MAX(id) FROM orders);
	DECLARE block BIGINT;
	DECLARE i INT DEFAULT 0;
	WHILE i < transactions DO
		SET block = 12 * FLOOR(RAND() * FLOOR(top / 12));
		START TRANSACTION;
		CALL insert_orders(top + 1, top + 12);
		UPDATE orders SET amount = amount + 1, status = 'paid' WHERE id BETWEEN block + 1 AND block + 6;
		DELETE FROM orders WHERE id IN (top - 1, top);
		COMMIT;
		SET top = top + 12, i = i + 1;
	END WHILE;
END;

CREATE PROCEDURE change_one_by_one(transactions INT)
BEGIN
	DECLARE blocks BIGINT DEFAULT (SELECT FLOOR(MAX(id) / 12) FROM orders);
	DECLARE i INT DEFAULT 1;
	WHILE i <= transactions DO
		CASE i % 4
		WHEN 1 THEN CALL insert_orders(-i, -i);
		WHEN 0 THEN DELETE FROM orders WHERE id = 3 - i;
		ELSE UPDATE orders SET amount = amount + 1, status = CONCAT('shipped', i % 4) WHERE id = 12 * ((i DIV 4) * 7919 % blocks) + 1;
		END CASE;
		SET i = i + 1;
	END WHILE;
END;

CALL insert_orders(1, 1000);
CALL insert_orders(1001, 1200)`
