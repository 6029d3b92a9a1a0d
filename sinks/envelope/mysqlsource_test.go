package envelope

import "testing"

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
