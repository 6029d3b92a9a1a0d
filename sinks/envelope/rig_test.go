package envelope

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sinks"
)

// rig makes units of text and prints what becomes of them.
type rig struct {
	t       testing.TB
	options Options
	encoder *Encoder
	catalog *changelog.Catalog
	tables  map[string]*schema.Table
	next    changelog.Offset
	full    bool
}

func newTestRig(t testing.TB) *rig {
	r := &rig{t: t, catalog: changelog.NewCatalog(), tables: map[string]*schema.Table{}, next: 100}
	r.options.Source = func(changelog.SourceID) (Source, error) {
		return Source{Name: "shop", Database: "shopdb", Connector: Postgres, Place: func(p changelog.Position) (Place, error) {
			var place Place
			_, err := fmt.Sscan(string(p), &place.LSN)
			return place, err
		}}, nil
	}
	return r
}

// run is a command of a text test:
//
//	options NAME…           of the encoder that follows
//	table NAME              with a column a line: name, type, then key and notnull
//	unit [kind=copy] [xid=N]  with a change or a state of a table a line
func (r *rig) run(d *datadriven.TestData) string {
	switch d.Cmd {
	case "options":
		return r.setOptions(d)
	case "table":
		r.addTable(d.CmdArgs[0].Key, d.Input)
		return ""
	case "unit":
		return r.unit(d)
	}
	r.t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	return ""
}

func (r *rig) setOptions(d *datadriven.TestData) string {
	source := r.options.Source
	r.options, r.encoder, r.full = Options{Source: source}, nil, false
	for _, arg := range d.CmdArgs {
		value := strings.Join(arg.Vals, "")
		switch arg.Key {
		case "strict":
			r.options.Strict = true
		case "truncates":
			r.options.Truncates = true
		case "transactions":
			r.options.Transactions = true
		case "heartbeats":
			r.options.Heartbeats = true
		case "schemas":
			r.options.Schemas = true
		case "notombstones":
			r.options.NoTombstones = true
		case "prefix":
			r.options.TopicPrefix = value
		case "decimals":
			r.options.Decimals = DecimalMode(value)
		case "times":
			r.options.Times = TimeMode(value)
		case "binary":
			r.options.Binary = BinaryMode(value)
		case "full":
			r.full = true
		case "format":
			r.options.Format = Format(value)
		default:
			r.t.Fatalf("%s: unknown option %s", d.Pos, arg.Key)
		}
	}
	if err := r.options.Validate(); err != nil {
		return err.Error()
	}
	return ""
}

// addTable registers a table. The name may have a schema.
func (r *rig) addTable(name, columns string) {
	t := &schema.Table{Source: "shop", Schema: "public", Name: name, SourceTable: uint32(len(r.tables) + 1), Identity: schema.IdentityKey}
	if before, after, ok := strings.Cut(name, "."); ok {
		t.Schema, t.Name = before, after
	}
	t.Name = strings.ReplaceAll(t.Name, "~", " ")
	key := uint16(0)
	for line := range strings.Lines(columns) {
		name, typ, _ := strings.Cut(strings.TrimSpace(line), " ")
		c := schema.Column{ID: uint32(len(t.Columns) + 1), Name: name}
		if before, ok := strings.CutSuffix(typ, " key"); ok {
			key++
			typ, c.Key, c.NotNull = before, key, true
		}
		if before, ok := strings.CutSuffix(typ, " notnull"); ok {
			typ, c.NotNull = before, true
		}
		c.SQLType = typ
		r.setKind(&c)
		t.Columns = append(t.Columns, c)
	}
	if err := t.Prepare(); err != nil {
		r.t.Fatal(err)
	}
	r.tables[name] = r.catalog.Register(1, t)
}

func (r *rig) setKind(c *schema.Column) {
	typ := parsePostgresType(c.SQLType)
	c.Kind = schema.Raw
	if kind, ok := elementKinds[typ.name]; ok && !typ.array {
		c.Kind = kind
	}
	switch {
	case typ.name == "mood" && !typ.array:
		c.Kind = schema.Enum
	case c.Kind == schema.Decimal && len(typ.mods) == 2:
		c.Precision, c.Scale = typ.mods[0], typ.mods[1]
	case typ.name == "money" && !typ.array:
		c.Kind, c.Precision, c.Scale = schema.Decimal, 19, 2
	case c.Kind == schema.Bit:
		c.Precision = typ.precision(0)
	}
}

func (r *rig) unit(d *datadriven.TestData) string {
	var b changelog.UnitBuilder
	kind, xid := changelog.UnitTx, uint64(7)
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "kind":
			if kind = changelog.UnitCopy; arg.Vals[0] == "tick" {
				kind = changelog.UnitTick
			}
		case "xid":
			if _, err := fmt.Sscan(arg.Vals[0], &xid); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	b.Reset(kind)
	b.Meta.Source, b.Meta.Epoch, b.Meta.First, b.Meta.XID, b.Meta.Position = 1, 1, r.next, xid, "5000"
	b.Meta.CommitTime, b.Meta.Clock = 1700000000123456, 1700000000123999
	for line := range strings.Lines(d.Input) {
		r.change(&b, strings.TrimSpace(line))
	}
	raw, err := b.AppendUnit(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.encode(raw)
}

var tableStates = map[string]changelog.TableStateKind{
	"copied": changelog.TableCopied, "copying": changelog.TableCopying, "complete": changelog.TableComplete,
}

// change adds a line: op table [key|full OLD ->] NEW, or: state table STATE, or: m prefix content.
func (r *rig) change(b *changelog.UnitBuilder, line string) {
	op, rest, _ := strings.Cut(line, " ")
	name, rest, _ := strings.Cut(rest, " ")
	if op == "m" {
		b.Message([]byte(name), []byte(rest))
		return
	}
	t := r.tables[name]
	if t == nil {
		r.t.Fatalf("no table %q", name)
	}
	if op == "state" {
		state := changelog.TableState{Table: t.ID, State: tableStates[rest]}
		if state.State == changelog.TableCopying {
			state.Cursor = "x"
		}
		b.AddTableState(state)
		return
	}
	if op == "t" {
		b.Truncate(t, changelog.TruncateOptions{})
		return
	}
	image := changelog.ImageNone
	var before, after []byte
	if old, ok := strings.CutPrefix(rest, "key "); ok {
		image, rest = changelog.ImageKey, old
	} else if old, ok := strings.CutPrefix(rest, "full "); ok {
		image, rest = changelog.ImageFull, old
	}
	if image != changelog.ImageNone {
		old, fresh, _ := strings.Cut(rest, "->")
		before, rest = r.pack(t, old), fresh
	}
	if op != "d" {
		after = r.pack(t, rest)
	}
	b.RowChange(changelog.Op(op[0]), t, image, before, after, nil)
}

// pack reads col=value; two blanks stand between columns.
func (r *rig) pack(t *schema.Table, text string) []byte {
	var b schema.Builder
	b.Reset(t.Layout(), nil)
	for item := range strings.SplitSeq(strings.TrimSpace(text), "  ") {
		name, value, _ := strings.Cut(item, "=")
		i := t.Column(name)
		switch {
		case i < 0:
			r.t.Fatalf("table %s has no column %q", t.Name, name)
		case value == "null":
			b.Null(i)
		default:
			if err := schema.ParseText(&b, i, &t.Columns[i], []byte(value)); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	row, err := b.Finish()
	if err != nil {
		r.t.Fatal(err)
	}
	return row
}

var sourceBlock = regexp.MustCompile(`"source":\{"version".*?"snapshot":("[a-z_]*").*?"origin_lsn":null\}`)

// encode prints the unit's messages: topic, identity, own headers, key and value, whose source block is only its mark.
func (r *rig) encode(raw []byte) string {
	if r.encoder == nil {
		var err error
		if r.encoder, err = New(r.options); err != nil {
			return err.Error()
		}
	}
	var u changelog.Unit
	if _, err := changelog.DecodeUnit(raw, &u); err != nil {
		r.t.Fatal(err)
	}
	u.Attach(r.catalog, nil, nil)
	r.next = u.Meta.Commit() + 1
	var out strings.Builder
	last := sinks.Identity{}
	err := r.encoder.Encode(context.Background(), &u, func(m *sinks.Message) error {
		if !m.Identity.After(last) {
			fmt.Fprintf(&out, "IDENTITY DOES NOT GROW after %v\n", last)
		}
		last = m.Identity
		fmt.Fprintf(&out, "%s %d.%d", m.Topic, m.Identity.Offset, m.Identity.Part)
		for _, h := range m.Headers {
			if r.full || !strings.HasPrefix(h.Name, "__debezium.context.") {
				fmt.Fprintf(&out, " %s=%s", h.Name, h.Value)
			}
		}
		value := string(m.Value)
		if !r.full {
			value = sourceBlock.ReplaceAllString(value, `"source":$1`)
			value = strings.ReplaceAll(value, `,"ts_ms":1700000000123,"ts_us":1700000000123999,"ts_ns":1700000000123999000`, "")
		}
		out.WriteString("\n  " + orNone(m.Key, string(m.Key)) + "\n  " + orNone(m.Value, value) + "\n")
		return nil
	})
	if err != nil {
		fmt.Fprintf(&out, "error: %v\n", err)
	}
	return out.String()
}

func orNone(b []byte, text string) string {
	if b == nil {
		return "-"
	}
	return text
}

func TestEncoder(t *testing.T) {
	datadriven.Walk(t, "testdata/TestEncoder", func(t *testing.T, path string) {
		r := newTestRig(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			r.t = t
			return r.run(d)
		})
	})
}
