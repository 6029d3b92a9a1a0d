package sources_test

import (
	"strings"
	"testing"

	"cdc/sources"
)

func TestPatterns(t *testing.T) {
	for _, test := range []struct {
		pattern, table string // schema.table
		want           bool
	}{
		{"orders", "public.orders", true},
		{"orders", "other.orders", true},
		{"orders", "public.orders2", false},
		{"public.*", "public.orders", true},
		{"public.*", "other.orders", false},
		{"p*.o?ders", "public.orders", true},
		{"shop.public.orders", "public.orders", true},
		{"other.public.orders", "public.orders", false},
		{`"ord*"`, "public.orders", false},
		{`"ord*"`, "public.ord*", true},
		{`public."a""b"`, `public.a"b`, true},
		{"*", "a.b", true},
		{"Orders", "public.orders", false},
		{"é?", "public.éx", true},
	} {
		p, err := sources.ParsePattern(test.pattern)
		if err != nil {
			t.Fatalf("%s: %v", test.pattern, err)
		}
		schema, table, _ := strings.Cut(test.table, ".")
		if got := p.Matches("shop", schema, table); got != test.want {
			t.Errorf("%s matches %s: %v", test.pattern, test.table, got)
		}
	}
	for _, bad := range []string{"", "!", "a..b", ".a", "a.", "a.b.c.d", `"`, `""`, `"a"b`, `a"b"`} {
		if _, err := sources.ParsePattern(bad); err == nil {
			t.Errorf("pattern %q is accepted", bad)
		}
	}
}

func TestPatternSets(t *testing.T) {
	for _, test := range []struct {
		patterns               []string
		table                  string // schema.table
		wants, includes, named bool
	}{
		{nil, "public.orders", true, false, false},
		{[]string{"!audit_*"}, "public.orders", true, false, false},
		{[]string{"!audit_*"}, "public.audit_1", false, false, false},
		{[]string{"public.*"}, "public.orders", true, true, false},
		{[]string{"public.*"}, "other.orders", false, false, false},
		{[]string{"public.*", "orders"}, "public.orders", true, true, true},
		{[]string{"orders", "!public.*"}, "public.orders", false, false, false},
		{[]string{`"o*"`}, "public.o*", true, true, true},
		{[]string{"other.public.orders"}, "public.orders", false, false, false},
	} {
		s, err := sources.ParsePatterns("shop", test.patterns)
		if err != nil {
			t.Fatal(err)
		}
		schema, table, _ := strings.Cut(test.table, ".")
		if s.Wants(schema, table) != test.wants || s.Includes(schema, table) != test.includes || s.Names(schema, table) != test.named {
			t.Errorf("%q with %s: wants %v, includes %v, names %v", test.patterns, test.table,
				s.Wants(schema, table), s.Includes(schema, table), s.Names(schema, table))
		}
		if len(s.All()) != len(test.patterns) {
			t.Errorf("%q: %d patterns", test.patterns, len(s.All()))
		}
	}
	if _, err := sources.ParsePatterns("shop", []string{"a", "b..c"}); err == nil {
		t.Error("a set with a bad pattern is accepted")
	}
}
