package envelope

import (
	"fmt"
	"strconv"
	"strings"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks"
	"cdc/sinks/connect"
)

// mysqlColumn compiles a column of MySQL. It is a typer.
//
// Sources of this and its neighbours: Debezium 3.5, BinlogValueConverters, MySqlValueConverters, MariaDbValueConverters,
// JdbcValueConverters and the packages io.debezium.data and io.debezium.time.
func mysqlColumn(o *Options, _ *schema.Table, c *schema.Column) (column, error) {
	return (&binlogColumn{o: o, c: c}).compile()
}

// mariadbColumn compiles a column of MariaDB. It is a typer.
func mariadbColumn(o *Options, _ *schema.Table, c *schema.Column) (column, error) {
	return (&binlogColumn{o: o, c: c, mariadb: true}).compile()
}

var _, _ typer = mysqlColumn, mariadbColumn

// binlogColumn is a column that is being compiled.
type binlogColumn struct {
	o       *Options
	c       *schema.Column
	mariadb bool
}

func (b *binlogColumn) compile() (column, error) {
	switch b.c.Kind {
	case schema.Int8, schema.Int16, schema.Int32, schema.Int64, schema.Uint8, schema.Uint16, schema.Uint32, schema.Uint64,
		schema.Float32, schema.Float64, schema.Decimal, schema.Bit:
		return b.number(), nil
	case schema.CalendarDate, schema.CalendarTimestamp, schema.CalendarTimestampTZ, schema.Time:
		return b.temporal()
	case schema.Text, schema.JSON, schema.UUID, schema.Enum, schema.Set:
		return b.text()
	case schema.Bytes:
		if b.base() == "vector" {
			return b.vector(), nil
		}
		return binaryColumn(b.o, b.c), nil
	case schema.Geometry:
		return b.geometry(), nil
	}
	return column{}, b.stop("leave the table out of the sink", "%s has no values of kind %s", b.server(), b.c.Kind)
}

// base is the first word of the declared type.
func (b *binlogColumn) base() string {
	word, _, _ := strings.Cut(b.c.SQLType, " ")
	word, _, _ = strings.Cut(word, "(")
	return word
}

// precision is how many digits of a second the declared type has: 3 of datetime(3), 0 of datetime.
func (b *binlogColumn) precision() int {
	_, rest, _ := strings.Cut(b.c.SQLType, "(")
	digits, _, _ := strings.Cut(rest, ")")
	n, _ := strconv.Atoi(digits) // none is 0
	return min(n, microsPrecision)
}

func (b *binlogColumn) server() Connector {
	if b.mariadb {
		return MariaDB
	}
	return MySQL
}

// stop says why the column, or a value of it, cannot be published.
func (b *binlogColumn) stop(remedy, format string, args ...any) error {
	return &sinks.Stop{
		Kind:   changelog.StopSchema,
		Detail: fmt.Sprintf("column %q of type %s: ", b.c.Name, b.c.SQLType) + fmt.Sprintf(format, args...),
		Remedy: remedy,
	}
}

// unheld remembers a value that neither its type nor null can stand for.
type unheld struct {
	of     *binlogColumn
	column schema.Column
	err    error
}

func (b *binlogColumn) unheld() *unheld { return &unheld{of: b, column: *b.c} }

func (u *unheld) note(s *connect.Schema, r schema.Row, i int) {
	if u.of.o.Strict || u.err != nil {
		return
	}
	u.err = u.of.stop("set strict, which publishes 0 or 1970 in its place as Debezium does, or leave the table out of the sink",
		"%s cannot hold %s, and NOT NULL leaves no null for it", s.Name, schema.AppendText(nil, &u.column, r, i))
}

// problem implements column.problem.
func (u *unheld) problem() error {
	err := u.err
	u.err = nil
	return err
}
