package schema

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The files in testdata/mysql hold values as a MariaDB server orders and prints them, with the numbers that the server's own arithmetic
// gives them. They are the oracle for the calendar kinds and for times of more than a day.

var mysqlColumns = map[string]Column{
	"calendardate":        {Kind: CalendarDate, SQLType: "date"},
	"calendartimestamp":   {Kind: CalendarTimestamp, SQLType: "datetime(6)"},
	"calendartimestamptz": {Kind: CalendarTimestampTZ, SQLType: "timestamp(6)"},
	"time":                {Kind: Time, SQLType: "time(6)"},
}

type mysqlValue struct {
	rank    int
	packed  int64
	regular string // \N when the value names no day
	text    string
}

func readMySQL(t *testing.T, name string) []mysqlValue {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "mysql", name+".tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var values []mysqlValue
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 4 {
			t.Fatalf("%s: line %q", name, line)
		}
		rank, errRank := strconv.Atoi(fields[0])
		packed, err := strconv.ParseInt(fields[1], 10, 64)
		if errRank != nil || err != nil {
			t.Fatalf("%s: line %q", name, line)
		}
		values = append(values, mysqlValue{rank, packed, fields[2], fields[3]})
	}
	if len(values) < 2 {
		t.Fatalf("%s holds %d values", name, len(values))
	}
	return values
}

func TestTextIsWhatMySQLPrints(t *testing.T) {
	for name, column := range mysqlColumns {
		table := oneColumn(t, column)
		for _, v := range readMySQL(t, name) {
			r := oneRow(t, table, func(b *Builder) error { b.Int(0, v.packed); return nil })
			if got := string(AppendText(nil, &table.Columns[0], r, 0)); got != v.text {
				t.Errorf("%s %d prints %q, want %q", name, v.packed, got, v.text)
			}
			parsed := oneRow(t, table, func(b *Builder) error { return ParseText(b, 0, &table.Columns[0], []byte(v.text)) })
			if !bytes.Equal(parsed.Raw(), r.Raw()) {
				t.Errorf("%s %q parses to %x, want %x", name, v.text, parsed.Raw(), r.Raw())
			}
		}
	}
}

func TestKeysOrderAsMySQLDoes(t *testing.T) {
	for name, column := range mysqlColumns {
		table := oneColumn(t, column)
		var last mysqlValue
		var lastKey []byte
		for i, v := range readMySQL(t, name) {
			key := keyOf(t, table, oneRow(t, table, func(b *Builder) error { b.Int(0, v.packed); return nil }))
			if got, want := bytes.Compare(lastKey, key), compare(last.rank, v.rank); i > 0 && got != want {
				t.Errorf("%s %s and %s compare as %d, want %d", name, last.text, v.text, got, want)
			}
			last, lastKey = v, key
		}
	}
}

// Exactly the days that MySQL has are regular, outside of the year 0, and count as MySQL counts them.
func TestRegularIsWhatMySQLCounts(t *testing.T) {
	for _, name := range []string{"calendardate", "calendartimestamp", "calendartimestamptz"} {
		for _, v := range readMySQL(t, name) {
			micros, ok := RegularTimestamp(v.packed)
			if name == "calendardate" {
				var days int32
				days, ok = RegularDate(v.packed)
				micros = int64(days)
			}
			got := `\N`
			if ok {
				got = strconv.FormatInt(micros, 10)
			}
			if got != v.regular {
				t.Errorf("%s %s is %s, want %s", name, v.text, got, v.regular)
			}
			if again, _ := CalendarTimestampAt(micros); ok && name != "calendardate" && again != v.packed {
				t.Errorf("%s %s comes back as %d, want %d", name, v.text, again, v.packed)
			}
		}
	}
}

// drawFields draws the fields of a calendar value, extremes as often as others.
func drawFields(t *rapid.T) CalendarFields {
	field := func(name string, most int) int {
		if rapid.Bool().Draw(t, "edge") {
			return rapid.SampledFrom([]int{0, 1, most - 1, most}).Draw(t, name)
		}
		return rapid.IntRange(0, most).Draw(t, name)
	}
	return CalendarFields{
		Year: field("year", maxCalendarYear), Month: field("month", maxCalendarMonth), Day: field("day", maxCalendarDay),
		Hour: field("hour", maxCalendarHour), Minute: field("minute", maxCalendarMinute), Second: field("second", maxCalendarSecond),
		Micro: field("micro", int(microsPerSecond)-1),
	}
}

func TestCalendarFieldsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFields(t)
		v, ok := PackCalendarTimestamp(f)
		if got := ReadCalendarTimestamp(v); !ok || got != f {
			t.Fatalf("%+v comes back as %+v (%t)", f, got, ok)
		}
		day := CalendarFields{Year: f.Year, Month: f.Month, Day: f.Day}
		v, ok = PackCalendarDate(f.Year, f.Month, f.Day)
		if got := ReadCalendarDate(v); !ok || got != day {
			t.Fatalf("%+v comes back as %+v (%t)", day, got, ok)
		}
	})
}

// A number is accepted exactly when it is the one that its fields are packed as, and a refused one harms nobody.
func TestCalendarNumbersAreThoseOfTheirFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := int64(drawInt(t, 64))
		again, ok := PackCalendarTimestamp(ReadCalendarTimestamp(v))
		if accepted := validCalendar(CalendarTimestamp, v); accepted != (ok && again == v) {
			t.Fatalf("timestamp %d is accepted: %t, and is that of its fields: %t", v, accepted, ok && again == v)
		}
		f := ReadCalendarDate(v)
		again, ok = PackCalendarDate(f.Year, f.Month, f.Day)
		if accepted := validCalendar(CalendarDate, v); accepted != (ok && again == v) {
			t.Fatalf("date %d is accepted: %t, and is that of its fields: %t", v, accepted, ok && again == v)
		}
		if _, ok := RegularDate(v); ok && !validCalendar(CalendarDate, v) {
			t.Fatalf("%d names a day and is no date", v)
		}
		if _, ok := RegularTimestamp(v); ok && !validCalendar(CalendarTimestamp, v) {
			t.Fatalf("%d names a day and is no timestamp", v)
		}
		if at, ok := CalendarTimestampAt(v); ok {
			if micros, regular := RegularTimestamp(at); !regular || micros != v {
				t.Fatalf("%d µs come back as %d (%t)", v, micros, regular)
			}
		}
	})
}

func TestCalendarFieldsOutOfRangeAreRefused(t *testing.T) {
	good := CalendarFields{Year: 9999, Month: 12, Day: 31, Hour: 23, Minute: 59, Second: 59, Micro: 999999}
	for _, change := range []func(f *CalendarFields){
		func(f *CalendarFields) { f.Year++ }, func(f *CalendarFields) { f.Month++ }, func(f *CalendarFields) { f.Day++ },
		func(f *CalendarFields) { f.Hour++ }, func(f *CalendarFields) { f.Minute++ }, func(f *CalendarFields) { f.Second++ },
		func(f *CalendarFields) { f.Micro++ }, func(f *CalendarFields) { f.Year = -1 }, func(f *CalendarFields) { f.Micro = -1 },
	} {
		f := good
		change(&f)
		if _, ok := PackCalendarTimestamp(f); ok {
			t.Errorf("%+v is packed", f)
		}
	}
	if _, ok := PackCalendarDate(2024, 13, 1); ok {
		t.Error("a 13th month is packed")
	}
	for _, micros := range []int64{TimeInfinity, TimeMinusInfinity, 252455616000000000, -63082281600000001} {
		if v, ok := CalendarTimestampAt(micros); ok {
			t.Errorf("%d µs are %d", micros, v)
		}
	}
}

// A number that is no calendar value gets into no row and out of none.
func TestRowsRefuseNumbersThatAreNoCalendarValue(t *testing.T) {
	for k, v := range map[Kind]int64{CalendarDate: 13 << 5, CalendarTimestamp: 1000000, CalendarTimestampTZ: -1} {
		table := oneColumn(t, Column{Kind: k})
		slot := make([]byte, kinds[k].size)
		for i := range slot {
			slot[i] = byte(v >> (8 * i))
		}
		var b Builder
		for _, set := range []func(){func() { b.Int(0, v) }, func() { b.Fixed(0, slot) }, func() { b.Value(0, slot) }} {
			b.Reset(table.Layout(), nil)
			set()
			if _, err := b.Finish(); err == nil {
				t.Errorf("a row holds %d as %s", v, k)
			}
		}
		if _, err := table.Layout().Row(append([]byte{1, 0}, slot...)); err == nil {
			t.Errorf("a row with %d as %s is accepted", v, k)
		}
		missing := &Table{Columns: []Column{{ID: 1, Name: "v", Kind: k, Missing: slot, HasMissing: true}}}
		if missing.Prepare() == nil {
			t.Errorf("older rows read %d as %s", v, k)
		}
	}
}

func TestMySQLValuesCostNoAllocation(t *testing.T) {
	dst := make([]byte, 0, 1<<12)
	for name, column := range mysqlColumns {
		table := oneColumn(t, column)
		c := &table.Columns[0]
		for _, v := range readMySQL(t, name) {
			text := []byte(v.text)
			var b Builder
			if n := testing.AllocsPerRun(5, func() {
				b.Reset(table.Layout(), dst)
				_ = ParseText(&b, 0, c, text)
				packed, _ := b.Finish()
				r, _ := table.Layout().Row(packed)
				_ = r.Int(0)
				AppendText(packed, c, r, 0)
				AppendJSON(packed, c, r, 0)
				AppendKeyValue(packed, c, r, 0)
			}); n != 0 {
				t.Errorf("%s %s allocates %.1f times", name, v.text, n)
			}
		}
	}
}
