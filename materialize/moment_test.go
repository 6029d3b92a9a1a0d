package materialize

import (
	"errors"
	"strings"
	"testing"
)

func TestParseMomentReadsEveryForm(t *testing.T) {
	for _, x := range []struct{ in, want string }{
		{"now", "now"},
		{" NOW ", "now"},
		{"OFFSET 42", "OFFSET 42"},
		{"offset 0", "OFFSET 0"},
		{"TX 771", "TX 771"},
		{"shop:TX 771", "shop:TX 771"},
		{"TAG train-2026-11", "TAG train-2026-11"},
		{"tag with spaces", "TAG with spaces"},
		{"LSN 0/16B3748", "LSN 0/16B3748"},
		{"shop:LSN 0/16B", "shop:LSN 0/16B"},
		{"shop: lsn 0/16B", "shop:LSN 0/16B"},
		{`"my shop":LSN 0/16B`, `"my shop":LSN 0/16B`},
		{`"a""b":LSN 0/16B`, `"a""b":LSN 0/16B`},
		{"GTID 3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5", "GTID 3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5"},
		{"GTID 0-1-88213", "GTID 0-1-88213"},
		{"2026-06-10", "2026-06-10T00:00:00Z"},
		{"2026-06-10T12:00:00Z", "2026-06-10T12:00:00Z"},
		{"2026-06-10t12:00:00.5z", "2026-06-10T12:00:00.5Z"},
		{"2026-06-10 12:00:00.123+02", "2026-06-10T10:00:00.123Z"},
		{"2026-06-10 12:00:00.123456+05:30", "2026-06-10T06:30:00.123456Z"},
		{"2026-06-10 12:00:00-0330", "2026-06-10T15:30:00Z"},
		{"2026-06-10 12:00 UTC", "2026-06-10T12:00:00Z"},
		{"2026-06-10 12:00:00 +02", "2026-06-10T10:00:00Z"},
		{"1901-01-01 00:00:00+00:53:28", "1900-12-31T23:06:32Z"},
		{"20 seconds ago", "20 seconds ago"},
		{"1 second ago", "1 second ago"},
		{"60 seconds ago", "1 minute ago"},
		{"90 minutes ago", "90 minutes ago"},
		{"48 HOURS AGO", "2 days ago"},
		{"0 days ago", "0 seconds ago"},
	} {
		m, err := ParseMoment(x.in)
		if err != nil {
			t.Errorf("%q: %v", x.in, err)
			continue
		}
		if got := m.String(); got != x.want {
			t.Errorf("%q is %q, want %q", x.in, got, x.want)
		}
	}
}

func TestParseMomentRefusesWhatItCannotMean(t *testing.T) {
	for _, x := range []struct{ in, says string }{
		{"", "write now"},
		{"yesterday", "write now"},
		{"2026-06-10 12:00:00", "does not say its zone"},
		{"2026-06-10T12:00", "does not say its zone"},
		{"2026-06-10 12:00:00 Europe/Berlin", "the zone of"},
		{"2026-06-10 12:00:00+16", "no such zone"},
		{"2026-02-30", "no such time"},
		{"2026-06-10 25:00:00Z", "no such time"},
		{"OFFSET", "whole number"},
		{"OFFSET -1", "whole number"},
		{"OFFSET 1.5", "whole number"},
		{"shop:OFFSET 1", "takes none"},
		{"shop:TAG x", "takes none"},
		{"LSN", "write now"},
		{"TAG", "write now"},
		{"TX abc", "whole number"},
		{`"shop:LSN 0/1`, "write now"},
		{"99999999999999999999 days ago", "longer ago"},
		{"5 months ago", "write now"},
		{"42", "write now"},
	} {
		_, err := ParseMoment(x.in)
		if !errors.Is(err, ErrMoment) || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%q: %v, which does not say %q", x.in, err, x.says)
		}
	}
}

func FuzzParseMoment(f *testing.F) {
	for _, s := range []string{
		"now", "shop:LSN 0/16B", `"a b":GTID x`, "2026-06-10 12:00:00.123+02", "20 seconds ago", "OFFSET 7", "TAG a:b", "2026-06-10",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMoment(text)
		if err != nil {
			if !errors.Is(err, ErrMoment) {
				t.Fatalf("%q: %v is not an ErrMoment", text, err)
			}
			return
		}
		again, err := ParseMoment(m.String())
		if err != nil || again != m {
			t.Fatalf("%q is %+v, written %q, which reads as %+v (%v)", text, m, m.String(), again, err)
		}
	})
}
