package envelope

import (
	"context"
	"testing"

	"cdc/changelog"
	"cdc/sinks"
)

// benchTable is a table of common types.
const benchTable = "id bigint key\nname text\nqty integer notnull\namount numeric(12,2)\nactive boolean\nts timestamp with time zone\npayload jsonb\ntags text[]\nu uuid"

// benchUnits are changes by their ops.
var benchUnits = []struct{ name, line string }{
	{"insert", `c bench id=1  name=a name of some length  qty=5  amount=12345.67  active=t  ts=2026-01-02 03:04:05.678901+00  payload={"a": [1, 2, 3], "b": "text"}  tags={a,b,"c d"}  u=a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11`},
	{"update", `u bench full id=1  name=a  qty=5  amount=1.00  active=t  ts=2026-01-02 03:04:05+00  payload={}  tags={}  u=null -> id=1  name=b  qty=6  amount=2.00  active=f  ts=2026-01-02 03:04:05+00  payload={}  tags={}  u=null`},
	{"move", `u bench key id=1 -> id=2  name=b  qty=6  amount=2.00  active=f  ts=2026-01-02 03:04:05+00  payload={}  tags={}  u=null`},
	{"delete", `d bench key id=1`},
}

// manyChanges is a unit of the same change many times.
func manyChanges(r *rig, line string, changes int) []byte {
	var b changelog.UnitBuilder
	b.Reset(changelog.UnitTx)
	b.Meta.Source, b.Meta.Epoch, b.Meta.First, b.Meta.XID, b.Meta.Position = 1, 1, 100, 7, "5000"
	b.Meta.CommitTime, b.Meta.Clock = 1700000000123456, 1700000000123999
	for range changes {
		r.change(&b, line)
	}
	raw, err := b.AppendUnit(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return raw
}

func newBenchRig(t testing.TB) *rig {
	r := newTestRig(t)
	r.addTable("bench", benchTable)
	r.options.Transactions = true
	return r
}

// BenchmarkEncode is the cost of a change; the bytes are those of its messages.
func BenchmarkEncode(b *testing.B) {
	const perUnit = 1000
	for _, unit := range benchUnits {
		b.Run(unit.name, func(b *testing.B) {
			r := newBenchRig(b)
			raw := manyChanges(r, unit.line, perUnit)
			e, err := New(r.options)
			if err != nil {
				b.Fatal(err)
			}
			bytes := 0
			emit := func(m *sinks.Message) error { bytes += len(m.Key) + len(m.Value); return nil }
			b.ReportAllocs()
			var u changelog.Unit
			for n := 0; n < b.N; n += perUnit {
				decode(b, r, raw, &u)
				if err := e.Encode(context.Background(), &u, emit); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(bytes / max(b.N, 1)))
		})
	}
}

func decode(t testing.TB, r *rig, raw []byte, u *changelog.Unit) {
	if _, err := changelog.DecodeUnit(raw, u); err != nil {
		t.Fatal(err)
	}
	u.Attach(r.catalog, nil, nil)
}

// A change costs no allocation: what is allocated does not grow with a unit's changes.
func TestEncodeDoesNotAllocate(t *testing.T) {
	for _, unit := range benchUnits {
		r := newBenchRig(t)
		e, err := New(r.options)
		if err != nil {
			t.Fatal(err)
		}
		emit := func(*sinks.Message) error { return nil }
		cost := func(changes int) float64 {
			raw := manyChanges(r, unit.line, changes)
			var u changelog.Unit
			return testing.AllocsPerRun(10, func() {
				decode(t, r, raw, &u)
				if err := e.Encode(context.Background(), &u, emit); err != nil {
					t.Fatal(err)
				}
			})
		}
		const few = 20 // buffers that grow
		if one, many := cost(1), cost(200); many > one+few {
			t.Errorf("%s: %v allocations for one change, %v for 200", unit.name, one, many)
		}
	}
}
