package envelope

import (
	"slices"
	"testing"

	"cdc/schema"
	"cdc/sinks"
)

func TestTopicsOfTables(t *testing.T) {
	table := func(name string, key uint16) *schema.Table {
		v := &schema.Table{Source: "shop", Schema: "public", Name: name, Columns: []schema.Column{{ID: 1, Name: "id", Kind: schema.Int64, Key: key}}}
		if err := v.Prepare(); err != nil {
			t.Fatal(err)
		}
		return v
	}
	tables := []*schema.Table{table("b c", 0), table("a", 0), table("a", 1)}
	o := Options{}
	want := []sinks.Topic{{Name: "shop.public.a"}, {Name: "shop.public.b_c", Keyless: true}}
	if got := o.Topics(tables); !slices.Equal(got, want) {
		t.Errorf("topics %v, want %v", got, want)
	}
	o = Options{TopicPrefix: "p", Transactions: true, Heartbeats: true}
	want = []sinks.Topic{{Name: "__debezium-heartbeat.p"}, {Name: "p.public.a"}, {Name: "p.public.b_c", Keyless: true}, {Name: "p.transaction"}}
	if got := o.Topics(tables); !slices.Equal(got, want) {
		t.Errorf("topics %v, want %v", got, want)
	}
}
