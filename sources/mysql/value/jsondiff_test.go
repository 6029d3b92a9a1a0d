package value

import (
	"bytes"
	"fmt"
	"testing"

	"cdc/e2e/testservers"
)

// jsonSteps are documents, and what an application does to them. The server sends the difference when it can, and the whole document
// else.
var jsonSteps = []struct {
	doc   string
	steps []string
}{
	{`{"a": 1, "bb": [1, 2, 3], "c": {"d": "x"}}`, []string{
		`JSON_REPLACE(j, '$.a', 2)`, `JSON_SET(j, '$.bb[1]', 'two')`, `JSON_SET(j, '$.e', CAST(1.50 AS DECIMAL(10,2)))`, `JSON_SET(j, '$.aa', NULL)`,
		`JSON_SET(j, '$.""', 1)`, `JSON_SET(j, '$."with space"', CAST('[1, {"z": null}]' AS JSON))`, `JSON_SET(j, '$."with space"[1].y', 5)`,
		`JSON_REMOVE(j, '$.a')`, `JSON_REMOVE(j, '$.bb[0]')`, `JSON_REMOVE(j, '$.c.d')`, `JSON_SET(j, '$.c.q', 'again')`, `JSON_SET(j, '$.bb[99]', 'end')`,
		`JSON_SET(j, '$.bb[last]', 'last')`, `JSON_REMOVE(j, '$.bb[last-1]')`, `JSON_REMOVE(j, '$.bb[last]')`, `JSON_REMOVE(j, '$.bb[last]')`,
		`JSON_SET(j, '$.bb[0]', 'first')`, `JSON_SET(j, '$.bb', 3)`, `JSON_SET(j, '$.bb[1]', 'wrapped')`, `JSON_REMOVE(j, '$.bb', '$.c', '$.e')`,
		`JSON_SET(j, '$.k1', 1, '$.k2', 2, '$.k0', 0)`, `JSON_REPLACE(j, '$.k1', 'a', '$.k2', 'b', '$.nothing', 'c')`,
		`JSON_SET(JSON_REMOVE(j, '$.k0'), '$.k1', 7)`, `JSON_SET(j, '$', CAST('{}' AS JSON))`, `JSON_SET(j, '$.x', 1)`, `JSON_REMOVE(j, '$.x')`,
	}},
	{`[[1, 2], {"k\"ey": "v", "back\\slash": "]}, \" ["}, "tail, ]"]`, []string{
		`JSON_REMOVE(j, '$[0][1]')`, `JSON_SET(j, '$[0][0]', 'é😀')`, `JSON_REMOVE(j, '$[0]')`, `JSON_SET(j, '$[0]."k\\"ey"', 'w')`,
		`JSON_SET(j, '$[0]."back\\\\slash"', true)`, `JSON_SET(j, '$[0]."new\\nline"', 1)`, `JSON_REMOVE(j, '$[0]."new\\nline"')`, `JSON_SET(j, '$[7]', 1e20)`,
		`JSON_SET(j, '$[0]."日本"', DATE'2024-02-29')`, `JSON_SET(j, '$[0]."日本"', x'00ff')`, `JSON_REMOVE(j, '$[2]')`, `JSON_REMOVE(j, '$[1]')`,
		`JSON_REMOVE(j, '$[0]')`, `JSON_SET(j, '$[0]', 'only')`, `JSON_SET(j, '$[0]', j)`,
	}},
	{`{"a": "` + string(bytes.Repeat([]byte("x"), 70000)) + `", "n": 1}`, []string{
		`JSON_SET(j, '$.n', 2)`, `JSON_SET(j, '$.a', 'short')`, `JSON_SET(j, '$.big', REPEAT('y', 300))`, `JSON_SET(j, '$.big', REPEAT('z', 70000))`,
		`JSON_REMOVE(j, '$.big')`, `JSON_SET(j, '$.n', 2)`,
	}},
}

// TestJSONDiffsGiveTheServersDocument lets a server update documents in place, with binlog_row_value_options=PARTIAL_JSON, and
// applies what the binlog tells of it to the text of the document before.
func TestJSONDiffsGiveTheServersDocument(t *testing.T) {
	s := startServer(t, testservers.FlavourMySQL)
	c, database := s.database(t)
	c.exec("CREATE TABLE j (id INT PRIMARY KEY, whole JSON, j JSON, k JSON)")
	for i, doc := range jsonSteps {
		c.exec(fmt.Sprintf("INSERT INTO j VALUES (%d, '[true]', %s, '{\"k\": 1}')", i, quoted(doc.doc)[0]))
	}
	from := s.position(c)
	c.exec("SET binlog_row_value_options = PARTIAL_JSON")
	docs, wants := make([]string, len(jsonSteps)), make([][]string, len(jsonSteps))
	for i, doc := range jsonSteps {
		docs[i] = c.text(fmt.Sprintf("SELECT j FROM j WHERE id = %d", i))
		for _, step := range doc.steps {
			before := c.text(fmt.Sprintf("SELECT j FROM j WHERE id = %d", i))
			c.exec(fmt.Sprintf("UPDATE j SET j = %s, k = JSON_SET(k, '$.k', RAND()) WHERE id = %d", step, i))
			if after := c.text(fmt.Sprintf("SELECT j FROM j WHERE id = %d", i)); after != before {
				wants[i] = append(wants[i], after)
			} else {
				wants[i] = append(wants[i], before)
			}
		}
	}
	diffs, whole := 0, 0
	s.binlog(t, from, database, func(e rowsEvent) {
		columns := e.columns
		st := table(t, columns)
		d, err := Compile(columns, st)
		if err != nil {
			t.Fatal(err)
		}
		for rest := e.images; len(rest) > 0; {
			_, after, err := d.Image(nil, e.before, rest)
			if err != nil {
				t.Fatal(err)
			}
			var row []byte
			var updates []JSONUpdate
			if e.partial {
				if after[0] != 1 { // binlog_row_value_options
					t.Fatalf("options %d", after[0])
				}
				row, rest, updates, err = d.PartialImage(nil, e.after, after[1:2], after[2:], nil)
			} else {
				row, rest, err = d.Image(nil, e.after, after)
			}
			if err != nil {
				t.Fatal(err)
			}
			r, err := st.Layout().Row(row)
			if err != nil {
				t.Fatal(err)
			}
			id := int(r.Int(0))
			got := string(r.Bytes(2))
			whole++
			for _, u := range updates {
				if u.Column != 2 {
					continue
				}
				whole--
				diffs++
				out, err := ApplyJSONDiffs(nil, []byte(docs[id]), u.Diffs)
				if err != nil {
					t.Fatalf("document %d, %d steps from the end: %v\n%.200s\n%x", id, len(wants[id]), err, docs[id], u.Diffs)
				}
				got = string(out)
			}
			if got != wants[id][0] {
				t.Fatalf("document %d, %d steps from the end\nfrom %.300s\ngot  %.300s\nwant %.300s", id, len(wants[id]), docs[id], got, wants[id][0])
			}
			docs[id], wants[id] = got, wants[id][1:]
		}
	})
	for i := range wants {
		if len(wants[i]) > 0 {
			t.Errorf("document %d: %d steps are not in the binlog", i, len(wants[i]))
		}
	}
	t.Logf("%d updates as differences, %d whole", diffs, whole)
}
