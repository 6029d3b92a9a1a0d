package envelope

import (
	"cdc/schema"
	"cdc/sinks/connect"
)

// hstoreColumn compiles hstore, which is published as a JSON object of strings and nulls (hstore.handling.mode json).
func hstoreColumn(c *schema.Column) column {
	var f fault
	var scratch []byte
	return column{schema: named(c, connect.String, nameJSON), problem: f.take, write: func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		var ok bool
		if scratch, ok = appendHstoreJSON(scratch[:0], r.Bytes(i)); !ok {
			f.set("hstore", string(r.Bytes(i)))
			writeNothing(out, s)
			return
		}
		out.Text(s, scratch)
	}}
}

// appendHstoreJSON reads "key"=>"value", "key"=>NULL, …
func appendHstoreJSON(dst, text []byte) ([]byte, bool) {
	dst = append(dst, '{')
	var buf [128]byte
	item := buf[:0]
	for first := true; len(text) > 0; first = false {
		if !first {
			if len(text) < 2 || text[0] != ',' || text[1] != ' ' {
				return dst, false
			}
			text, dst = text[2:], append(dst, ',')
		}
		var ok bool
		if item, text, ok = cutQuoted(item[:0], text); !ok || len(text) < 2 || text[0] != '=' || text[1] != '>' {
			return dst, false
		}
		dst, text = append(schema.AppendJSONString(dst, item), ':'), text[2:]
		if len(text) >= 4 && string(text[:4]) == "NULL" {
			dst, text = append(dst, "null"...), text[4:]
			continue
		}
		if item, text, ok = cutQuoted(item[:0], text); !ok {
			return dst, false
		}
		dst = schema.AppendJSONString(dst, item)
	}
	return append(dst, '}'), true
}

// cutQuoted takes a text in double quotes off the front, without its backslashes.
func cutQuoted(dst, text []byte) (item, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return dst, text, false
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return dst, text[i+1:], true
		case '\\':
			i++
			if i == len(text) {
				return dst, text, false
			}
		}
		dst = append(dst, text[i])
	}
	return dst, text, false
}
