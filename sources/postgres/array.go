package postgres

import (
	"bytes"
	"fmt"
	"strconv"

	"cdc/schema"
)

// maxArrayDims is the most dimensions that Postgres allows.
const maxArrayDims = 6

// arrayPrinter turns the binary form of an array into the text that the server prints.
type arrayPrinter struct {
	delim   byte
	element decoder
	// column and layout hold one element at a time, for the type's own text.
	column  schema.Column
	layout  *schema.Layout
	packed  []byte
	printed []byte
	builder schema.Builder
}

// arrayDecoder is the decoder of an array whose elements have one, nil otherwise.
func (c *typeCache) arrayDecoder(t typeInfo) decoder {
	element := c.binaryDecoder(t.elem)
	if elem, ok := c.resolve(t.elem, -1); !ok || element == nil || elem.info.elem != 0 {
		return nil
	}
	p := &arrayPrinter{delim: t.delim, element: element, column: schema.Column{Name: "element"}}
	c.describe(&p.column, t.elem, -1)
	if base, ok := c.resolve(t.elem, -1); ok && base.info.oid == oidMoney {
		return nil // its text depends on the server's locale
	}
	layout, err := schema.NewLayout([]schema.Column{p.column})
	if err != nil {
		return nil
	}
	p.layout = layout
	return func(b *schema.Builder, i int, data []byte) error {
		var err error
		b.Variable(i, func(dst []byte) []byte {
			dst, err = p.append(dst, data)
			return dst
		})
		return err
	}
}

// dimension is the size of one dimension and the number of its first element.
type dimension struct{ size, lower int32 }

func (p *arrayPrinter) append(dst, data []byte) ([]byte, error) {
	r := reader{b: data}
	n := int(r.u32())
	r.take(4 + 4) // whether there are nulls, and the element type
	if r.bad || n > maxArrayDims {
		return dst, errSize
	}
	if n == 0 {
		return append(dst, "{}"...), nil
	}
	var dims [maxArrayDims]dimension
	shifted := false
	for i := range n {
		dims[i] = dimension{size: int32(r.u32()), lower: int32(r.u32())}
		if dims[i].size < 1 {
			return dst, errSize
		}
		shifted = shifted || dims[i].lower != 1
	}
	if shifted {
		for _, d := range dims[:n] {
			dst = strconv.AppendInt(append(dst, '['), int64(d.lower), 10)
			dst = strconv.AppendInt(append(dst, ':'), int64(d.lower)+int64(d.size)-1, 10)
			dst = append(dst, ']')
		}
		dst = append(dst, '=')
	}
	dst, err := p.level(dst, &r, dims[:n])
	if err == nil && (r.bad || len(r.b) != 0) {
		err = errSize
	}
	return dst, err
}

// level prints one dimension with those inside it.
func (p *arrayPrinter) level(dst []byte, r *reader, dims []dimension) ([]byte, error) {
	dst = append(dst, '{')
	var err error
	for i := range dims[0].size {
		if i > 0 {
			dst = append(dst, p.delim)
		}
		if len(dims) > 1 {
			dst, err = p.level(dst, r, dims[1:])
		} else {
			dst, err = p.value(dst, r)
		}
		if err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func (p *arrayPrinter) value(dst []byte, r *reader) ([]byte, error) {
	size := int32(r.u32())
	if r.bad || size < -1 {
		return dst, errSize
	}
	if size == -1 {
		return append(dst, "NULL"...), nil
	}
	data := r.take(int(size))
	if r.bad {
		return dst, errSize
	}
	p.builder.Reset(p.layout, p.packed[:0])
	if err := p.element(&p.builder, 0, data); err != nil {
		return dst, fmt.Errorf("array element: %w", err)
	}
	var err error
	if p.packed, err = p.builder.Finish(); err != nil {
		return dst, err
	}
	row, err := p.layout.Row(p.packed)
	if err != nil {
		return dst, err
	}
	p.printed = schema.AppendText(p.printed[:0], &p.column, row, 0)
	return p.appendQuoted(dst, p.printed), nil
}

// appendQuoted quotes an element where the server does.
func (p *arrayPrinter) appendQuoted(dst, text []byte) []byte {
	if !p.needsQuotes(text) {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	for _, c := range text {
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

func (p *arrayPrinter) needsQuotes(text []byte) bool {
	if len(text) == 0 || len(text) == 4 && bytes.EqualFold(text, []byte("NULL")) {
		return true
	}
	for _, c := range text {
		switch c {
		case '"', '\\', '{', '}', p.delim, ' ', '\t', '\n', '\r', '\v', '\f':
			return true
		}
	}
	return false
}
