package envelope

import (
	"bytes"
	"strings"

	"cdc/schema"
	"cdc/sinks/connect"
)

// text compiles text and what is published as text.
func (b *binlogColumn) text() (column, error) {
	switch b.c.Kind {
	case schema.UUID:
		return uuidColumn(b.c), nil
	case schema.Enum:
		return b.labelled("io.debezium.data.Enum")
	case schema.Set:
		return b.labelled("io.debezium.data.EnumSet")
	case schema.JSON:
		if !b.mariadb { // there, JSON is LONGTEXT
			return column{schema: named(b.c, connect.String, nameJSON), write: writeText}, nil
		}
	}
	return column{schema: named(b.c, connect.String, ""), write: writeText}, nil
}

// zeroLabel is the value of the number 0 in a column that has the empty text as a label; the servers print both as an empty text.
const zeroLabel = "\x00"

// labelled compiles an ENUM or a SET. Debezium puts a backslash before a comma in a label so that its list of the labels can be taken
// apart again, and leaves it there in the values, which then are none of the server's.
func (b *binlogColumn) labelled(name string) (column, error) {
	labels, ok := schema.Labels(b.c.SQLType)
	if !ok {
		return column{}, b.stop("report it as a fault of this program", "its labels cannot be read")
	}
	for i := range labels {
		labels[i] = strings.ReplaceAll(labels[i], ",", `\,`)
	}
	s := named(b.c, connect.String, name)
	s.Parameters = []connect.Parameter{{Name: "allowed", Value: strings.Join(labels, ",")}}
	escape := b.o.Strict && b.c.Kind == schema.Enum // in the value of a SET, commas stand between the labels
	return column{schema: s, write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		label := r.Bytes(i)
		switch {
		case string(label) == zeroLabel:
			label = nil
		case escape && bytes.IndexByte(label, ',') >= 0:
			label = bytes.ReplaceAll(label, []byte(","), []byte(`\,`))
		}
		out.Text(s, label)
	}}, nil
}
