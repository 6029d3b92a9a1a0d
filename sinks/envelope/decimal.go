package envelope

import (
	"math/big"
	"strconv"

	"cdc/schema"
	"cdc/sinks/connect"
)

// strictNegativeScale is what becomes of a scale of -1 in Debezium: the type's modifier has 11 bits for it.
const strictNegativeScale = 2048

// postgresDecimal compiles numeric and money.
func postgresDecimal(o *Options, t postgresType, c *schema.Column) column {
	switch o.Decimals {
	case DecimalString:
		return column{schema: named(c, connect.String, ""), write: decimalText(o, c)}
	case DecimalDouble:
		return column{schema: named(c, connect.Float64, ""), write: writeDecimalDouble}
	case DecimalPrecise:
	}
	if c.Precision == 0 {
		f := &fault{}
		return column{schema: variableScale(c), write: variableWriter(o, f), problem: f.take}
	}
	scale, precision := c.Scale, c.Precision
	switch {
	case scale < 0 && o.Strict:
		scale += strictNegativeScale
	case scale < 0:
		// Avro and many readers know no negative scale; with the zeros written out the value is the same.
		precision, scale = precision-scale, 0
	}
	if t.name == "money" {
		precision = 0
	}
	return decimalColumn(decimalSchema(c, precision, scale), int(scale))
}

// decimalSchema is Connect's Decimal; Debezium adds the precision where there is one.
func decimalSchema(c *schema.Column, precision, scale int32) *connect.Schema {
	s := named(c, connect.Bytes, nameDecimal)
	s.Parameters = []connect.Parameter{{Name: "scale", Value: strconv.Itoa(int(scale))}}
	if precision > 0 {
		s.Parameters = append(s.Parameters, connect.Parameter{Name: "connect.decimal.precision", Value: strconv.Itoa(int(precision))})
	}
	return s
}

// variableScale is Debezium's decimal whose scale comes with each value.
func variableScale(c *schema.Column) *connect.Schema {
	s := named(c, connect.Struct, nameVariableDecimal)
	s.Doc = "Variable scaled decimal"
	s.Fields = []connect.Field{{Name: "scale", Schema: plain(connect.Int32)}, {Name: "value", Schema: plain(connect.Bytes)}}
	return s
}

// decimalColumn is a column of Connect's Decimal.
func decimalColumn(s *connect.Schema, scale int) column {
	f := &fault{}
	return column{schema: s, write: decimalWriter(scale, f), problem: f.take}
}

// decimalWriter writes the value's integer at the scale, big-endian in two's complement. What is no number is null, as Decimal has no
// other values, and a fault where null is not allowed.
func decimalWriter(scale int, f *fault) func(connect.Output, *connect.Schema, schema.Row, int) {
	var scratch []byte
	return func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		packed := r.Bytes(i)
		if !finite(packed) {
			if !s.Optional {
				f.noNumber()
			}
			writeNothing(out, s)
			return
		}
		scratch = appendUnscaled(scratch[:0], packed, scale)
		out.Bytes(s, scratch)
	}
}

// variableWriter writes the value with its own scale; in strict mode without the zeros at its end, as Debezium's stream does.
func variableWriter(o *Options, f *fault) func(connect.Output, *connect.Schema, schema.Row, int) {
	var scratch []byte
	strict := o.Strict
	return func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		packed := r.Bytes(i)
		if !finite(packed) {
			if !s.Optional {
				f.noNumber()
			}
			writeNothing(out, s)
			return
		}
		scale := decimalScale(packed)
		if strict {
			scale = shortestScale(packed, scale)
		}
		scratch = appendUnscaled(scratch[:0], packed, scale)
		out.BeginStruct(s)
		out.Int(s.Fields[0].Schema, int64(scale))
		out.Bytes(s.Fields[1].Schema, scratch)
		out.EndStruct(s)
	}
}

// decimalText writes the text, with Debezium's names of what is no number.
func decimalText(o *Options, c *schema.Column) func(connect.Output, *connect.Schema, schema.Row, int) {
	var scratch []byte
	var digits []uint16
	zeros := 0
	if o.Strict && c.Scale < 0 {
		zeros = int(strictNegativeScale + c.Scale)
	}
	return func(out connect.Output, s *connect.Schema, r schema.Row, i int) {
		packed := r.Bytes(i)
		scratch = scratch[:0]
		d, _ := schema.ReadDecimal(packed, digits[:0])
		digits = d.Digits
		switch {
		case d.Class == schema.DecimalNaN:
			scratch = append(scratch, "NAN"...)
		case d.Class == schema.DecimalInfinite && d.Negative:
			scratch = append(scratch, "NEGATIVE_INFINITY"...)
		case d.Class == schema.DecimalInfinite:
			scratch = append(scratch, "POSITIVE_INFINITY"...)
		default:
			scratch = schema.AppendDecimalText(scratch, packed)
			if zeros > 0 {
				scratch = append(scratch, '.')
			}
			for range zeros {
				scratch = append(scratch, '0')
			}
		}
		out.Text(s, scratch)
	}
}

func writeDecimalDouble(out connect.Output, s *connect.Schema, r schema.Row, i int) {
	var buf [64]byte
	v, _ := strconv.ParseFloat(string(schema.AppendDecimalText(buf[:0], r.Bytes(i))), 64) // out of range is an infinity
	out.Float(s, v)
}

// writeNothing writes null, or what stands for it.
func writeNothing(out connect.Output, s *connect.Schema) {
	if s.Optional {
		out.Null(s)
		return
	}
	writeBlank(out, s)
}

// The header of a packed decimal: sign and class, scale, weight (docs/formats/row.md).
const decimalClassBits = 0x03

func finite(packed []byte) bool {
	return len(packed) >= 3 && packed[0]&decimalClassBits == byte(schema.DecimalFinite)
}

func decimalScale(packed []byte) int { return int(packed[1]) | int(packed[2])<<8 }

// shortestScale is the least scale that hides no digit.
func shortestScale(packed []byte, scale int) int {
	for scale > 0 {
		if _, _, exact := schema.DecimalInt128(packed, scale-1); !exact {
			text := schema.AppendDecimalText(nil, packed)
			return len(trimZeros(text)) - len(text) + decimalScale(packed)
		}
		scale--
	}
	return scale
}

func trimZeros(text []byte) []byte {
	for len(text) > 0 && text[len(text)-1] == '0' {
		text = text[:len(text)-1]
	}
	return text
}

// appendUnscaled appends value × 10^scale, as short as two's complement allows. The scale must hide no digit.
func appendUnscaled(dst, packed []byte, scale int) []byte {
	if hi, lo, exact := schema.DecimalInt128(packed, scale); exact {
		return appendInt128(dst, hi, lo)
	}
	text := schema.AppendDecimalText(nil, packed)
	digits := make([]byte, 0, len(text)+scale)
	shown := 0
	for i, c := range text {
		if c == '.' {
			shown = len(text) - i - 1
			continue
		}
		digits = append(digits, c)
	}
	for ; shown < scale; shown++ {
		digits = append(digits, '0')
	}
	digits = digits[:len(digits)-(shown-scale)]
	v, ok := new(big.Int).SetString(string(digits), 10)
	if !ok {
		return append(dst, 0)
	}
	return appendBig(dst, v)
}

func appendInt128(dst []byte, hi int64, lo uint64) []byte {
	var b [16]byte
	for i := range 8 {
		b[i], b[8+i] = byte(hi>>(56-8*i)), byte(lo>>(56-8*i))
	}
	return append(dst, shortest(b[:])...)
}

// shortest leaves out leading bytes that only repeat the sign.
func shortest(b []byte) []byte {
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	return b
}

func appendBig(dst []byte, v *big.Int) []byte {
	size := v.BitLen()/8 + 1
	if v.Sign() < 0 {
		v = new(big.Int).Add(v, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
	}
	return append(dst, shortest(v.FillBytes(make([]byte, size)))...)
}
