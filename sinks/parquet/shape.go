package parquet

import (
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"cdc/schema"
)

// Columns that say what the change is. Readers know these names; do not change them.
const (
	columnOp     = "__op"
	columnOffset = "__offset"
	columnCommit = "__commit"
	columnSource = "__source"
	columnTime   = "__commit_time"
	columnImage  = "__image"
	columnBefore = "__before"
	columnAbsent = "__absent"
	columnUnfit  = "__unfit"
)

// shape is how a table version lies in a file: which columns in which order, and the leaf that each is. Leaves are numbered depth
// first, as their columns are: those that name the change, the row, the old row, and last what could not be said otherwise.
type shape struct {
	table  *schema.Table
	schema *parquet.Schema
	names  []string // of the row's columns
}

// Leaves in front of the row's, and how many there are behind the old row's.
const (
	leafOp = iota
	leafOffset
	leafCommit
	leafSource
	leafTime
	leafImage
	leavesBefore
	leavesAfter = 2
)

// leaves is the number of leaves in a file.
func (s *shape) leaves() int { return leavesBefore + 2*len(s.names) + leavesAfter }

func newShape(t *schema.Table) *shape {
	s := &shape{table: t}
	file := newGroup()
	file.add(columnOp, parquet.String())
	file.add(columnOffset, parquet.Int(64))
	file.add(columnCommit, parquet.Int(64))
	file.add(columnSource, parquet.String())
	file.add(columnTime, parquet.Timestamp(parquet.Microsecond))
	file.add(columnImage, parquet.Optional(parquet.String()))
	taken := map[string]bool{columnBefore: true, columnAbsent: true, columnUnfit: true}
	for name := range file.Group {
		taken[name] = true
	}
	before := newGroup()
	for i := range t.Columns {
		name := uniqueName(taken, t.Columns[i].Name)
		node := parquet.Optional(columnNode(&t.Columns[i]))
		file.add(name, node)
		before.add(name, node)
		s.names = append(s.names, name)
	}
	if len(t.Columns) > 0 {
		file.add(columnBefore, parquet.Optional(before))
	}
	file.add(columnAbsent, parquet.Optional(parquet.JSON()))
	file.add(columnUnfit, parquet.Optional(parquet.JSON()))
	s.schema = parquet.NewSchema("change", file)
	return s
}

// group keeps its fields in the order in which they were added, where a plain group sorts them by name.
type group struct {
	parquet.Group
	order map[string]int
}

func newGroup() *group { return &group{parquet.Group{}, map[string]int{}} }

func (g *group) add(name string, node parquet.Node) {
	g.order[name] = len(g.order)
	g.Group[name] = node
}

// Fields implements parquet.Node.
func (g *group) Fields() []parquet.Field {
	fields := g.Group.Fields()
	slices.SortFunc(fields, func(a, b parquet.Field) int { return g.order[a.Name()] - g.order[b.Name()] })
	return fields
}

// uniqueName is the column's name, with a number when another column has the same.
func uniqueName(taken map[string]bool, name string) string {
	unique := name
	for n := 1; taken[unique]; n++ {
		unique = name + "_" + strconv.Itoa(n)
	}
	taken[unique] = true
	return unique
}

// Decimals of so many digits are stored as integers of 32, 64 and 128 bits.
const (
	digits32  = 9
	digits64  = 18
	digits128 = 38
)

// columnNode is the type of a column in the file. What Parquet has no type for is text, as the source prints it.
func columnNode(c *schema.Column) parquet.Node {
	switch c.Kind {
	case schema.Bool:
		return parquet.Leaf(parquet.BooleanType)
	case schema.Int8, schema.Int16, schema.Int32, schema.Int64:
		return parquet.Int(8 << (c.Kind - schema.Int8))
	case schema.Uint8, schema.Uint16, schema.Uint32, schema.Uint64:
		return parquet.Uint(8 << (c.Kind - schema.Uint8))
	case schema.Float32:
		return parquet.Leaf(parquet.FloatType)
	case schema.Float64:
		return parquet.Leaf(parquet.DoubleType)
	case schema.Decimal:
		return decimalNode(c)
	case schema.Bytes, schema.Geometry:
		return parquet.Leaf(parquet.ByteArrayType)
	case schema.Date, schema.CalendarDate:
		return parquet.Date()
	case schema.Time:
		return parquet.TimeAdjusted(parquet.Microsecond, false)
	case schema.Timestamp, schema.CalendarTimestamp:
		return parquet.TimestampAdjusted(parquet.Microsecond, false)
	case schema.TimestampTZ, schema.CalendarTimestampTZ:
		return parquet.Timestamp(parquet.Microsecond)
	case schema.UUID:
		return parquet.UUID()
	case schema.JSON:
		return parquet.JSON()
	}
	return parquet.String()
}

// decimalNode is text for decimals that have no precision or too much of it.
func decimalNode(c *schema.Column) parquet.Node {
	precision, scale := int(c.Precision), int(c.Scale)
	switch {
	case !fixedDecimal(c):
		return parquet.String()
	case precision <= digits32:
		return parquet.Decimal(scale, precision, parquet.Int32Type)
	case precision <= digits64:
		return parquet.Decimal(scale, precision, parquet.Int64Type)
	}
	return parquet.Decimal(scale, precision, parquet.FixedLenByteArrayType(16))
}

// fixedDecimal reports whether Parquet has the column's type.
func fixedDecimal(c *schema.Column) bool {
	return c.Precision >= 1 && c.Precision <= digits128 && c.Scale >= 0 && c.Scale <= c.Precision
}
