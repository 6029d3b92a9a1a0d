package schema

import "testing"

func TestNamesAreQuotedWhereTheyWouldMeanSomethingElse(t *testing.T) {
	for _, test := range []struct {
		parts [3]string
		want  string
	}{
		{[3]string{"shop", "public", "orders_2"}, "shop.public.orders_2"},
		{[3]string{"shop-1", "Sales", "a.b"}, `"shop-1"."Sales"."a.b"`},
		{[3]string{"s", "p", `say "hi"`}, `s.p."say ""hi"""`},
		{[3]string{"s", "p", ""}, `s.p.""`},
		{[3]string{"s", "p", "größe"}, `s.p."größe"`},
		{[3]string{"s", "p", "1st\n"}, "s.p.\"1st\n\""},
	} {
		table := &Table{Source: test.parts[0], Schema: test.parts[1], Name: test.parts[2]}
		if got := table.FullName(); got != test.want {
			t.Errorf("%q is written %s, want %s", test.parts, got, test.want)
		}
	}
}
