package envelope

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"cdc/changelog"
	"cdc/schema"
)

func TestOwnGTIDIsTheOneWithTheTransactionsNumber(t *testing.T) {
	const a, b = "8d81bbce-e641-11f1-8e30-02fc00000001", "9d81bbce-e641-11f1-8e30-02fc00000002"
	for _, test := range []struct {
		set    string
		number uint64
		want   string
	}{
		{a + ":1-5", 5, a + ":5"},
		{a + ":5", 5, a + ":5"},
		{a + ":1-5:7", 7, a + ":7"},
		{a + ":1-5:7-9,\n" + b + ":1-3", 3, b + ":3"},
		{a + ":1-5, " + b + ":1-5", 5, ""},
		{a + ":1-5", 4, ""},
		{a + ":1-5:blue:1-7:red:9", 7, a + ":blue:7"},
		{a + ":1-5:blue:1-7:red:9", 9, a + ":red:9"},
		{"0-1-277", 277, "0-1-277"},
		{"0-1-277,1-2-5", 5, "1-2-5"},
		{"0-1-5,1-2-5", 5, ""},
		{"", 0, ""},
	} {
		if got := string(appendOwnGTID(nil, test.set, test.number)); got != test.want {
			t.Errorf("GTID %d of %q is %q, want %q", test.number, test.set, got, test.want)
		}
	}
}

// TestMySQLEncoder has the commands of TestEncoder, and
//
//	source CONNECTOR                 whose GTIDs follow
//	mysqltable NAME                  with a column a line: name, kind, type, then key or notnull
func TestMySQLEncoder(t *testing.T) {
	datadriven.Walk(t, "testdata/TestMySQLEncoder", func(t *testing.T, path string) {
		r := newTestRig(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			r.t = t
			switch d.Cmd {
			case "source":
				connector, place := Connector(d.CmdArgs[0].Key), Place{GTID: d.Input, File: "binlog.000007", Offset: 1234, ServerID: 3}
				r.options.Source = func(changelog.SourceID) (Source, error) {
					return Source{Name: "shop", Connector: connector, Place: func(changelog.Position) (Place, error) { return place, nil }}, nil
				}
				r.encoder = nil
				return ""
			case "mysqltable":
				r.addMySQLTable(d.CmdArgs[0].Key, d.Input)
				return ""
			}
			return r.run(d)
		})
	})
}

func (r *rig) addMySQLTable(name, columns string) {
	t := &schema.Table{Source: "shop", Schema: "db", Name: name, SourceTable: uint32(len(r.tables) + 1), Identity: schema.IdentityFull}
	key := uint16(0)
	for line := range strings.Lines(columns) {
		words := strings.Fields(line)
		c := schema.Column{ID: uint32(len(t.Columns) + 1), Name: words[0], Kind: kindNamed(words[1]), SQLType: words[2], NotNull: len(words) > 3}
		if c.NotNull && words[3] == "key" {
			key++
			c.Key = key
		}
		t.Columns = append(t.Columns, c)
	}
	if err := t.Prepare(); err != nil {
		r.t.Fatal(err)
	}
	r.tables[name] = r.catalog.Register(1, t)
}
