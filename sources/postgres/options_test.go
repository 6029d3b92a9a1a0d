package postgres

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTLSIsVerifiedUnlessTheServerIsLocalOrTheUserSaysOtherwise(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for _, test := range []struct {
		dsn            string
		tls, verified  bool
		fallbacks      int
		warningMention string
	}{
		{"postgres://u@localhost/db", false, false, 0, ""},
		{"postgres://u@127.0.0.1/db", false, false, 0, ""},
		{"postgres://u@[::1]/db", false, false, 0, ""},
		{"host=/var/run/postgresql dbname=db", false, false, 0, ""},
		{"postgres://u@db.example.com/db", true, true, 0, ""},
		{"host=db.example.com dbname=db password='a sslmode=disable'", true, true, 0, ""},
		{"postgres://u@localhost,db.example.com/db", true, true, 1, ""},
		{"postgres://u@db.example.com/db?sslmode=require", true, false, 0, "without checking"},
		{"postgres://u@db.example.com/db?sslmode=disable", false, false, 0, "unencrypted"},
		{"host=db.example.com sslmode=verify-full", true, true, 0, ""},
	} {
		d, err := parseDSN(Options{DSN: test.dsn, Name: "x"})
		if err != nil {
			t.Fatalf("%s: %v", test.dsn, err)
		}
		c := d.config
		if (c.TLSConfig != nil) != test.tls || len(c.Fallbacks) != test.fallbacks {
			t.Errorf("%s: TLS %v, %d fallbacks", test.dsn, c.TLSConfig != nil, len(c.Fallbacks))
		}
		for _, f := range c.Fallbacks {
			if test.tls && f.TLSConfig == nil {
				t.Errorf("%s: falls back to plaintext", test.dsn)
			}
		}
		if test.tls && test.verified == c.TLSConfig.InsecureSkipVerify {
			t.Errorf("%s: verified %v, want %v", test.dsn, !c.TLSConfig.InsecureSkipVerify, test.verified)
		}
		if got := strings.Join(d.warnings, "; "); test.warningMention == "" && got != "" || !strings.Contains(got, test.warningMention) {
			t.Errorf("%s: warnings %q", test.dsn, got)
		}
	}
}

func TestPasswordsAreNotInErrors(t *testing.T) {
	for _, dsn := range []string{
		"postgres://u:hunter2@localhost:bad/db", "host=localhost password=hunter2 port=bad", "postgres://u:hunter2@localhost/db?password=hunter2&x=%zz",
		"postgres://u:hunter2%@localhost/db", "postgres://u:hunter2 x@localhost/db", "postgres://u:hunter2/x@localhost/db",
		"postgres://u:x@hunter2@localhost/db",
	} {
		if err := (Options{DSN: dsn, Name: "x"}).Validate(); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error of a bad DSN: %v", err)
		}
	}
	// What the client library takes as it is, we do too.
	for _, dsn := range []string{"postgres://u:hunter2#x@localhost/db?sslmode=disable", "postgres://u:hunter2\x01@localhost/db"} {
		if err := (Options{DSN: dsn, Name: "x"}).Validate(); err != nil {
			t.Errorf("error of a good DSN: %v", err)
		}
	}
}

func TestOptionsReportAllProblemsAtOnce(t *testing.T) {
	err := Options{DSN: "host=localhost", Slot: "Bad Slot", CopyReaders: -1, MaxHeldWAL: -1, Tables: []string{`"open`}}.Validate()
	for _, want := range []string{"name", "Bad Slot", "readers", "held", "open"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no problem with %q in %v", want, err)
		}
	}
}

func TestPositionsCompareAsBytesInStreamOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) Position {
			commit := rapid.Uint64Range(0, 1<<62).Draw(t, name)
			return Position{Timeline: rapid.Uint32Range(1, 3).Draw(t, name+" timeline"), Commit: LSN(commit), End: LSN(commit + rapid.Uint64Range(0, 100).Draw(t, name+" size"))}
		}
		a, b := draw("a"), draw("b")
		back, err := ParsePosition(FormatPosition(a))
		if err != nil || back != a {
			t.Fatalf("%+v comes back as %+v, %v", a, back, err)
		}
		less := slices.Compare([]uint64{uint64(a.Timeline), uint64(a.Commit), uint64(a.End)}, []uint64{uint64(b.Timeline), uint64(b.Commit), uint64(b.End)})
		if got := strings.Compare(string(FormatPosition(a)), string(FormatPosition(b))); got != less {
			t.Fatalf("%+v and %+v compare as %d, want %d", a, b, got, less)
		}
	})
	if _, err := ParsePosition("short"); !errors.Is(err, ErrPosition) {
		t.Fatal(err)
	}
}

func TestLSNText(t *testing.T) {
	for text, want := range map[string]LSN{"0/0": 0, "16/B374D848": 0x16B374D848, "FFFFFFFF/FFFFFFFF": 1<<64 - 1} {
		got, err := ParseLSN(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "/", "1", "1/", "/1", "g/1", "123456789/1", "-1/1"} {
		if _, err := ParseLSN(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestTimelineHistoryIsSearchedForOurs(t *testing.T) {
	history := "1\t0/1502258\tno recovery target specified\n\n2\t0/3000000\tafter LSN\n"
	if left, ok, err := findTimeline(history, 2); err != nil || !ok || left != 0x3000000 {
		t.Fatalf("%v %v %v", left, ok, err)
	}
	if _, ok, _ := findTimeline(history, 3); ok {
		t.Fatal("a timeline that is not there was found")
	}
}

func TestTransactionNumbersAreExtendedAroundTheWrap(t *testing.T) {
	for _, test := range []struct {
		near uint64
		xid  uint32
		want uint64
	}{{800, 790, 790}, {5<<32 + 10, 0xfffffff0, 4<<32 + 0xfffffff0}, {5<<32 + 0xfffffff0, 3, 6<<32 + 3}, {5<<32 + 1000, 900, 5<<32 + 900}} {
		st := &stream{xids: test.near, begin: beginMessage{xid: test.xid}}
		if got := st.xid(); got != test.want {
			t.Errorf("%d near %d is %d, want %d", test.xid, test.near, got, test.want)
		}
	}
}

func TestOnlyElementOfAnArray(t *testing.T) {
	for text, want := range map[string]string{`{7}`: "7", `{"x,\"y\\"}`: `x,"y\`, `{"{1,NULL}"}`: "{1,NULL}", `{""}`: "", `{"NULL"}`: "NULL"} {
		if got, ok := onlyElement([]byte(text)); !ok || got == nil || string(got) != want {
			t.Errorf("%s: %q %v", text, got, ok)
		}
	}
	if got, ok := onlyElement([]byte("{NULL}")); !ok || got != nil {
		t.Errorf("null: %q %v", got, ok)
	}
	for _, bad := range []string{"", "{}", "{", "x", `{"}`} {
		if _, ok := onlyElement([]byte(bad)); ok {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// Other programs, Debezium among them, write an LSN as a number.
func TestMomentsAreLSNsOrNumbers(t *testing.T) {
	for text, want := range map[string]LSN{"0/16B3748": 0x16B3748, "23803720": 0x16B3748, "18446744073709551615": 1<<64 - 1} {
		p, err := ParseMoment(text)
		if at := endOf(p); err != nil || at != want {
			t.Errorf("%s is %v, %v; want %v", text, at, err, want)
		}
	}
	for _, text := range []string{"", "-1", "16B3748", "18446744073709551616", "0/16B3748/0"} {
		if p, err := ParseMoment(text); err == nil {
			t.Errorf("%q is the moment %q", text, p)
		}
	}
}
