package avro

import (
	"fmt"
	"strings"

	"github.com/hamba/avro/v2"
)

// maxDepth bounds how deep Changes looks into types, which may hold themselves.
const maxDepth = 8

// Changes says what an old schema's fields have become in a new one, a line a field. In schemas of change events, those with a field
// after, it is about the columns of the row; only when these are the same it is about the rest.
func Changes(old, updated *Schema) []string {
	from, to := rowOf(old.parsed), rowOf(updated.parsed)
	if from == nil || to == nil {
		from, to = record(old.parsed), record(updated.parsed)
	}
	lines := compare(nil, "column", "", from, to, maxDepth)
	if len(lines) == 0 {
		lines = compare(nil, "field", "", record(old.parsed), record(updated.parsed), maxDepth)
	}
	return lines
}

// compare appends what differs between two records, whose fields are called what, and lie under the path.
func compare(lines []string, what, path string, old, updated *avro.RecordSchema, depth int) []string {
	if old == nil || updated == nil || depth == 0 {
		return lines
	}
	after := fieldsOf(updated)
	before := fieldsOf(old)
	for _, f := range old.Fields() {
		name := fmt.Sprintf("%s %q", what, path+f.Name())
		now := after[f.Name()]
		if now == nil {
			lines = append(lines, name+" is gone")
			continue
		}
		if was, is := describe(f.Type()), describe(now.Type()); was != is {
			lines = append(lines, fmt.Sprintf("%s was %s, is %s", name, was, is))
			continue
		}
		if f.HasDefault() && !now.HasDefault() {
			lines = append(lines, name+" has lost its default")
		}
		lines = compare(lines, what, path+f.Name()+".", record(f.Type()), record(now.Type()), depth-1)
	}
	for _, f := range updated.Fields() {
		if before[f.Name()] != nil {
			continue
		}
		line := fmt.Sprintf("%s %q (%s) is new", what, path+f.Name(), describe(f.Type()))
		if !f.HasDefault() {
			line += " and has no default"
		}
		lines = append(lines, line)
	}
	return lines
}

func fieldsOf(r *avro.RecordSchema) map[string]*avro.Field {
	fields := make(map[string]*avro.Field, len(r.Fields()))
	for _, f := range r.Fields() {
		fields[f.Name()] = f
	}
	return fields
}

// rowOf is the type of the field after, nil when there is none.
func rowOf(s avro.Schema) *avro.RecordSchema {
	r := record(s)
	if r == nil {
		return nil
	}
	if after := fieldsOf(r)["after"]; after != nil {
		return record(after.Type())
	}
	return nil
}

// record is the record that the type is or may be, nil when it is none.
func record(s avro.Schema) *avro.RecordSchema {
	switch s := resolve(s).(type) {
	case *avro.RecordSchema:
		return s
	case *avro.UnionSchema:
		for _, branch := range s.Types() {
			if r := record(branch); r != nil {
				return r
			}
		}
	}
	return nil
}

func resolve(s avro.Schema) avro.Schema {
	if ref, ok := s.(*avro.RefSchema); ok {
		return ref.Schema()
	}
	return s
}

// describe is a type in the words of a message.
func describe(s avro.Schema) string {
	switch s := resolve(s).(type) {
	case *avro.UnionSchema:
		var branches []string
		null := ""
		for _, branch := range s.Types() {
			if branch.Type() == avro.Null {
				null = " or null"
				continue
			}
			branches = append(branches, describe(branch))
		}
		return strings.Join(branches, " or ") + null
	case *avro.ArraySchema:
		return "array of " + describe(s.Items())
	case *avro.MapSchema:
		return "map of " + describe(s.Values())
	case *avro.PrimitiveSchema:
		return primitive(s)
	case avro.NamedSchema:
		return s.FullName()
	}
	return string(s.Type())
}

// primitive adds what the values mean, by the logical type or else by the name of Kafka Connect.
func primitive(s *avro.PrimitiveSchema) string {
	text := string(s.Type())
	if decimal, ok := s.Logical().(*avro.DecimalLogicalSchema); ok {
		return fmt.Sprintf("decimal(%d,%d)", decimal.Precision(), decimal.Scale())
	}
	if logical := s.Logical(); logical != nil {
		return fmt.Sprintf("%s (%s)", text, logical.Type())
	}
	if name, ok := s.Prop("connect.name").(string); ok {
		return fmt.Sprintf("%s (%s)", text, name)
	}
	return text
}
