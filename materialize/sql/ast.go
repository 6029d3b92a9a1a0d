//go:build cgo && duckdb_arrow && !nosql

package sql

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// tables is what a query reads, as DuckDB's own parser sees it.
type tables struct {
	refs []baseTable
	// words are all words of the query, in lower case: a column whose name is not among them is not read. all says that the query
	// may read columns that it does not name.
	words map[string]bool
	all   bool
}

// reads reports whether the query may read the column.
func (t *tables) reads(column string) bool { return t.all || t.words[strings.ToLower(column)] }

// baseTable is a name in FROM that is no common table expression.
type baseTable struct {
	catalog, schema, name string
	at                    int // place in DuckDB's text
}

// serialized is the answer of json_serialize_sql.
type serialized struct {
	Error      bool              `json:"error"`
	Message    string            `json:"error_message"`
	Position   json.RawMessage   `json:"position"`
	Statements []json.RawMessage `json:"statements"`
}

// maxNesting bounds the depth of a query's tree, which DuckDB bounds too.
const maxNesting = 5000

// findTables walks a parsed statement.
func findTables(statement []byte) (tables, error) {
	var tree any
	if err := json.Unmarshal(statement, &tree); err != nil {
		return tables{}, errorOf(CodeInternal, "read the parsed query: %w", err)
	}
	f := finder{found: tables{words: map[string]bool{}}, aliases: map[string]bool{}, values: map[string]bool{}}
	f.walk(tree, nil, 0)
	slices.SortStableFunc(f.found.refs, func(a, b baseTable) int { return a.at - b.at })
	for name := range f.values {
		// A table's name as a value means its whole row.
		f.found.all = f.found.all || f.aliases[name]
	}
	return f.found, f.err
}

// finder walks DuckDB's tree. names are the common table expressions in sight.
type finder struct {
	found   tables
	aliases map[string]bool // of tables, with their names, in lower case
	values  map[string]bool // last parts of column references, in lower case
	err     error
}

func (f *finder) walk(node any, names []string, depth int) {
	if f.err != nil {
		return
	}
	if depth > maxNesting {
		f.err = errorOf(CodeSQL, "the query is nested more than %d deep", maxNesting)
		return
	}
	switch n := node.(type) {
	case []any:
		for _, child := range n {
			f.walk(child, names, depth+1)
		}
	case string:
		f.found.words[strings.ToLower(n)] = true
	case map[string]any:
		f.object(n, names, depth)
	}
}

func (f *finder) object(n map[string]any, names []string, depth int) {
	switch textOf(n, "type") {
	case "BASE_TABLE":
		f.base(n, names)
	case "TABLE_FUNCTION":
		f.function(n)
	case "SHOW_REF":
		f.found.all = true
		if n["query"] == nil {
			f.err = errorOf(CodeSQL, "SHOW of %s is not known here; there is SHOW TABLES", textOf(n, "table_name"))
		}
	case "COLUMN_REF":
		if parts, _ := n["column_names"].([]any); len(parts) > 0 {
			last, _ := parts[len(parts)-1].(string)
			f.values[strings.ToLower(last)] = true
		}
	case "STAR", "POSITIONAL_REFERENCE", "PIVOT":
		f.found.all = true
	case "FUNCTION":
		if name := textOf(n, "function_name"); textOf(n, "schema") != "" && clockFunctions[strings.ToLower(name)] != "" {
			f.err = errorOf(CodeSQL, "write %s without a schema: it tells the time of the moment that is read", name)
		}
	case "JOIN":
		f.found.all = f.found.all || textOf(n, "ref_type") == "NATURAL"
	}
	names = f.expressions(n, names, depth)
	for _, key := range slices.Sorted(maps.Keys(n)) {
		if key != "cte_map" {
			f.walk(n[key], names, depth+1)
		}
	}
}

// expressions walks the common table expressions of a node and returns the names that the rest of it sees. Each sees those
// before it, and itself when it is recursive.
func (f *finder) expressions(n map[string]any, names []string, depth int) []string {
	if name := textOf(n, "cte_name"); name != "" {
		names = append(slices.Clip(names), strings.ToLower(name))
	}
	list, _ := n["cte_map"].(map[string]any)
	entries, _ := list["map"].([]any)
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		f.walk(entry["value"], names, depth+1)
		names = append(slices.Clip(names), strings.ToLower(textOf(entry, "key")))
	}
	return names
}

func (f *finder) base(n map[string]any, names []string) {
	f.aliases[strings.ToLower(textOf(n, "alias"))] = true
	f.aliases[strings.ToLower(textOf(n, "table_name"))] = true
	t := baseTable{catalog: textOf(n, "catalog_name"), schema: textOf(n, "schema_name"), name: textOf(n, "table_name"), at: -1}
	if at, ok := n["query_location"].(float64); ok && at < MaxTextBytes {
		t.at = int(at)
	}
	if renamed, _ := n["column_name_alias"].([]any); len(renamed) > 0 {
		f.found.all = true
	}
	if t.catalog == "" && t.schema == "" && slices.Contains(names, strings.ToLower(t.name)) {
		return
	}
	f.found.refs = append(f.found.refs, t)
}

func (f *finder) function(n map[string]any) {
	call, _ := n["function"].(map[string]any)
	name := textOf(call, "function_name")
	if slices.Contains(tableFunctions, strings.ToLower(name)) {
		return
	}
	f.err = errorOf(CodeSQL, "the table function %s is not allowed here", name)
}

// tableFunctions are the table functions that a query may call. The others read files, change DuckDB's own state, or run a text
// that nobody has looked at.
var tableFunctions = []string{
	"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree", "duckdb_functions", "duckdb_types",
	"duckdb_keywords", "duckdb_columns", "pg_timezone_names", "icu_calendar_names", "test_all_types", "histogram", "histogram_values",
}

// clockFunctions are the functions that tell the time, with the types of their answers.
var clockFunctions = map[string]string{
	"now": "TIMESTAMPTZ", "get_current_timestamp": "TIMESTAMPTZ", "transaction_timestamp": "TIMESTAMPTZ", "current_timestamp": "TIMESTAMPTZ",
	"current_localtimestamp": "TIMESTAMP", "localtimestamp": "TIMESTAMP", "current_date": "DATE", "today": "DATE",
	"get_current_time": "TIMETZ", "current_time": "TIMETZ", "current_localtime": "TIME", "localtime": "TIME",
}

func textOf(n map[string]any, key string) string {
	s, _ := n[key].(string)
	return s
}
