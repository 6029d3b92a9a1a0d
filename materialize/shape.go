package materialize

import (
	"errors"
	"fmt"

	"cdc/schema"
)

// project is t with the named columns only, in that order; t itself when columns is nil. Its columns belong to no key unless all
// of the key's are there.
func project(t *schema.Table, columns []string) (*schema.Table, error) {
	if columns == nil {
		return t, nil
	}
	p := &schema.Table{
		ID: t.ID, Version: t.Version, Source: t.Source, Schema: t.Schema, Name: t.Name, SourceTable: t.SourceTable,
		Identity: t.Identity, AppendOnly: t.AppendOnly, Columns: make([]schema.Column, 0, len(columns)),
	}
	keys := 0
	for _, name := range columns {
		i, err := findColumn(t, name)
		if err != nil {
			return nil, err
		}
		p.Columns = append(p.Columns, t.Columns[i])
		if t.Columns[i].Key != 0 {
			keys++
		}
	}
	if keys != len(t.KeyColumns()) {
		for i := range p.Columns {
			p.Columns[i].Key = 0
		}
	}
	if err := p.Prepare(); err != nil {
		return nil, fmt.Errorf("project %s: %w", t.FullName(), err)
	}
	return p, nil
}

// findColumn is the index of the named column: exactly, else in another letter case when only one matches, else without the double
// quotes that it stands in.
func findColumn(t *schema.Table, name string) (int, error) {
	if i := t.Column(name); i >= 0 {
		return i, nil
	}
	if text, rest, ok := cutQuoted(name); ok && rest == "" && name[0] == '"' {
		if i := t.Column(text); i >= 0 {
			return i, nil
		}
		name = text
	}
	e := &NameError{Kind: "column", Name: t.FullName() + "." + schema.QuotedName(name)}
	found := -1
	names := make([]string, len(t.Columns))
	for i := range t.Columns {
		names[i] = t.Columns[i].Name
		if sameFold(names[i], name) {
			found = i
			e.Matches = append(e.Matches, schema.QuotedName(names[i]))
		}
	}
	if len(e.Matches) == 1 {
		return found, nil
	}
	if len(e.Matches) == 0 {
		e.Nearest = nearest(name, names)
		for i, near := range e.Nearest {
			e.Nearest[i] = schema.QuotedName(near)
		}
	}
	return 0, e
}

// converters turn rows of any version of a table into one shape.
type converters struct {
	to       *schema.Table
	versions interface {
		Version(schema.VersionID) *schema.Table
	}
	// retype says that values may have been stored anew in another type in between, as they are when a table was copied again.
	retype bool
	known  map[uint32]*versionConverter
	last   *versionConverter
}

type versionConverter struct {
	version uint32
	from    *schema.Table
	convert *schema.Converter
	retyper *retyper // in place of convert
}

// from is the converter of a version.
func (c *converters) from(version uint32) (*versionConverter, error) {
	if c.last != nil && c.last.version == version {
		return c.last, nil
	}
	v := c.known[version]
	if v == nil {
		t := c.versions.Version(schema.VersionID(version))
		if t == nil {
			return nil, fmt.Errorf("convert rows of %s: version %d is not in the catalog", c.to.FullName(), version)
		}
		v = &versionConverter{version: version, from: t}
		var err error
		v.convert, err = schema.NewConverter(t, c.to)
		switch {
		case c.retype && errors.Is(err, schema.ErrRewritten):
			v.retyper = newRetyper(t, c.to)
		case err != nil:
			return nil, err
		}
		if c.known == nil {
			c.known = map[uint32]*versionConverter{}
		}
		c.known[version] = v
	}
	c.last = v
	return v, nil
}

// append appends the packed row of the version, converted.
func (c *converters) append(dst []byte, version uint32, raw []byte) ([]byte, error) {
	v, err := c.from(version)
	if err != nil {
		return dst, err
	}
	row, err := v.from.Layout().Row(raw)
	if err != nil {
		return dst, fmt.Errorf("read row of %s: %w", v.from.FullName(), err)
	}
	if v.retyper != nil {
		return v.retyper.append(dst, row)
	}
	return v.convert.Convert(dst, row)
}
