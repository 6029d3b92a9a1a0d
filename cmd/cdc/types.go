package main

import (
	"context"

	"cdc/cmd/cdc/internal/present"
	"cdc/schema"
)

type typesCmd struct{ rowFlags }

// Help describes the verb with examples.
func (typesCmd) Help() string {
	return `Lists the types of columns, what they become in each form in which values leave the log, and what is lost on the way. The log itself loses nothing.

Examples:

	cdc types
	cdc types --json`
}

var typesShape = present.Shape(
	present.Field{Name: "type", Kind: schema.Text}, present.Field{Name: "form", Kind: schema.Text},
	present.Field{Name: "as", Kind: schema.Text}, present.Field{Name: "lost", Kind: schema.Text},
)

// Run prints one row for each type and form.
func (t *typesCmd) Run(_ context.Context, app *App) (err error) {
	out, err := t.open(app)
	if err != nil {
		return err
	}
	return out.close(printTypes(&out.Output))
}

func printTypes(out *present.Output) error {
	record, err := out.Record(typesShape)
	if err != nil {
		return err
	}
	for kind := schema.Kind(1); kind != 0; kind++ {
		if !kind.Valid() {
			continue
		}
		for _, form := range []schema.Projection{schema.ProjectDuckDB, schema.ProjectJSON, schema.ProjectAvro} {
			p := kind.Projected(form)
			b := record.Begin()
			b.String(0, kind.String())
			b.String(1, form.String())
			b.String(2, p.As)
			setText(b, 3, p.Loss)
			if err := record.End(); err != nil {
				return err
			}
		}
	}
	return record.Close()
}
