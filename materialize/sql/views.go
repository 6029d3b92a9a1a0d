//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"context"
	"errors"
	"strings"
)

// mainCatalog and mainSchema are DuckDB's default names, temporary ones among those that nobody else may use.
const (
	mainCatalog = "memory"
	mainSchema  = "main"
)

// views are the names of one query, made in DuckDB as the query writes them, so that it runs as it is and its columns can be
// qualified as it likes.
type views struct {
	undo  []string          // statements that remove what was made, in order of making
	made  map[string]string // view, in lower case, to the relation behind it
	homes map[string]bool   // catalogs and schemas that exist
}

// createEmpty makes views with the right columns and no rows.
func (v *views) createEmpty(ctx context.Context, d *duck, bounds []bound) error {
	for i := range bounds {
		columns := columnsOf(bounds[i].table, nil)
		list := make([]string, len(columns))
		for j := range columns {
			duck := columns[j].duck
			if columns[j].measured != nil {
				duck = "DECIMAL(38,6)" // any decimal does
			}
			list[j] = "NULL::" + duck + " AS " + quoteIdent(columns[j].name)
		}
		if len(list) == 0 {
			return errorOf(CodeSQL, "table %s has no columns", bounds[i].table.FullName())
		}
		if err := v.view(ctx, d, bounds, i, "SELECT "+strings.Join(list, ", ")+" WHERE false"); err != nil {
			return err
		}
	}
	v.made = nil
	return nil
}

// create points the views at loaded tables.
func (v *views) create(ctx context.Context, d *duck, bounds []bound, loaded []*loaded) error {
	v.made = nil
	for i := range bounds {
		if err := v.view(ctx, d, bounds, i, "SELECT * FROM "+mainCatalog+"."+mainSchema+"."+quoteIdent(loaded[i].name)); err != nil {
			return err
		}
	}
	return nil
}

func (v *views) view(ctx context.Context, d *duck, bounds []bound, i int, body string) error {
	catalog, schema := home(bounds, i)
	if strings.EqualFold(catalog, "temp") || strings.EqualFold(catalog, "system") {
		return errorOf(CodeSQL, "%s is a name of DuckDB's own; write the table's name without it", catalog)
	}
	if err := v.makeHome(ctx, d, catalog, schema); err != nil {
		return err
	}
	full := quoteIdent(catalog) + "." + quoteIdent(schema) + "." + quoteIdent(bounds[i].name)
	folded := strings.ToLower(full)
	if before, ok := v.made[folded]; ok {
		if before != body {
			return errorOf(CodeSQL, "two tables called %s differ in upper and lower case only, which DuckDB takes for one name; write one of them with AS OF NOW",
				bounds[i].name)
		}
		return nil
	}
	if v.made == nil {
		v.made = map[string]string{}
	}
	v.made[folded] = body
	v.undo = append(v.undo, "DROP VIEW IF EXISTS "+full)
	return d.exec(ctx, "CREATE OR REPLACE VIEW "+full+" AS "+body)
}

// home is where DuckDB will look for a name. One of two parts may be a catalog's table, when a catalog of that name is needed too.
func home(bounds []bound, i int) (catalog, schema string) {
	b := &bounds[i]
	switch {
	case b.catalog != "":
		return b.catalog, b.schema
	case b.schema == "":
		return mainCatalog, mainSchema
	}
	for j := range bounds {
		if strings.EqualFold(bounds[j].catalog, b.schema) {
			return bounds[j].catalog, mainSchema
		}
	}
	for _, reserved := range []string{mainCatalog, "temp", "system"} {
		if strings.EqualFold(b.schema, reserved) {
			return reserved, mainSchema
		}
	}
	return mainCatalog, b.schema
}

func (v *views) makeHome(ctx context.Context, d *duck, catalog, schema string) error {
	if v.homes == nil {
		v.homes = map[string]bool{strings.ToLower(mainCatalog): true}
	}
	if c := strings.ToLower(catalog); !v.homes[c] {
		v.undo = append(v.undo, "DETACH DATABASE IF EXISTS "+quoteIdent(catalog))
		if err := d.exec(ctx, "ATTACH ':memory:' AS "+quoteIdent(catalog)); err != nil {
			return err
		}
		v.homes[c] = true
	}
	full := quoteIdent(catalog) + "." + quoteIdent(schema)
	if f := strings.ToLower(full); !v.homes[f] && !strings.EqualFold(schema, mainSchema) {
		v.undo = append(v.undo, "DROP SCHEMA IF EXISTS "+full+" CASCADE")
		if err := d.exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+full); err != nil {
			return err
		}
		v.homes[f] = true
	}
	return nil
}

// drop removes everything that was made, whatever became of the query.
func (v *views) drop(d *duck) (err error) {
	for i := len(v.undo) - 1; i >= 0; i-- {
		err = errors.Join(err, d.exec(context.Background(), v.undo[i]))
	}
	*v = views{}
	return err
}
