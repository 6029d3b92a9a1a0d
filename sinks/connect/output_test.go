package connect

import (
	"context"
	"testing"
)

// A struct that resumes from the bytes of its first fields is the one that was written field by field, wherever it stands.
func TestResumedStructIsTheWholeStruct(t *testing.T) {
	inner := &Schema{Type: Struct, Name: "n", Optional: true, Fields: []Field{
		{"a", &Schema{Type: Int64}}, {"b", &Schema{Type: String, Optional: true}}, {"c", &Schema{Type: Boolean}},
	}}
	s := &Schema{Type: Struct, Name: "s", Fields: []Field{{"first", inner}, {"second", inner}}}
	for name, form := range map[string]Serializer{"json": &JSON{}, "avro": avroForm{&Avro{}}} {
		t.Run(name, func(t *testing.T) {
			write := func(resume bool) string {
				if err := form.Begin(context.Background(), nil, "topic", Value, s); err != nil {
					t.Fatal(err)
				}
				form.BeginStruct(s)
				form.BeginStruct(inner)
				mark := form.Mark()
				form.Int(inner.Fields[0].Schema, 7)
				form.Text(inner.Fields[1].Schema, []byte("x"))
				head := append([]byte(nil), form.Since(mark)...)
				form.Bool(inner.Fields[2].Schema, true)
				form.EndStruct(inner)
				if resume {
					form.ResumeStruct(inner, 2, head)
				} else {
					form.BeginStruct(inner)
					form.Int(inner.Fields[0].Schema, 7)
					form.Text(inner.Fields[1].Schema, []byte("x"))
				}
				form.Bool(inner.Fields[2].Schema, false)
				form.EndStruct(inner)
				form.EndStruct(s)
				b, err := form.End()
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			}
			if got, want := write(true), write(false); got != want {
				t.Errorf("resumed: %q\nwhole:   %q", got, want)
			}
		})
	}
}

// avroForm is Avro without a registry.
type avroForm struct{ *Avro }

func (a avroForm) Begin(_ context.Context, dst []byte, _ string, _ Part, _ *Schema) error {
	a.Reset(dst)
	return nil
}

func (a avroForm) End() ([]byte, error) { return a.Encoded(), nil }
