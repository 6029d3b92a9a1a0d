package binlog

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"pgregory.net/rapid"
)

const (
	uuidA = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	uuidB = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
)

func mustSet(t testing.TB, text string) *GTIDSet {
	t.Helper()
	s, err := ParseGTIDSet(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGTIDSetHasOneText(t *testing.T) {
	for _, c := range []struct{ text, canonical string }{
		{"", ""},
		{" \n", ""},
		{uuidA + ":1", uuidA + ":1"},
		{strings.ToUpper(uuidA) + ":1-1", uuidA + ":1"},
		{uuidA + ":5-7:1-3:4", uuidA + ":1-7"},
		{uuidA + ":1-5:3-9:20", uuidA + ":1-9:20"},
		{uuidB + ":1,\n" + uuidA + ":2", uuidA + ":2," + uuidB + ":1"},
		{uuidA + ":1," + uuidA + ":2", uuidA + ":1-2"},
		{uuidA + ":Tag_1:1-3:5", uuidA + ":tag_1:1-3:5"},
		{uuidA + ":b:1:a:2:7," + uuidA + ":1", uuidA + ":1:a:2:7:b:1"},
		{uuidA + " : 1 - 3 : tag : 4", uuidA + ":1-3:tag:4"},
		{uuidA + ":9223372036854775806", uuidA + ":9223372036854775806"},
	} {
		s := mustSet(t, c.text)
		if s.String() != c.canonical {
			t.Errorf("%q is %q, want %q", c.text, s, c.canonical)
		}
		b, _ := s.AppendBinary(nil)
		if again, err := DecodeGTIDSet(b); err != nil || !again.Equal(s) {
			t.Errorf("%q through bytes is %v, %v", c.text, again, err)
		}
	}
}

func TestTextThatIsNoGTIDSetIsRefused(t *testing.T) {
	for _, text := range []string{
		uuidA, uuidA + ":", uuidA + ":0", uuidA + ":3-2", uuidA + ":1-", uuidA + ":-1", uuidA + ":1,", ",", uuidA[1:] + ":1", uuidA + ":tag",
		uuidA + ":1:tag", uuidA + ":tag:tag2:1", uuidA + ":t-g:1", uuidA + ":1 2", uuidA + ":9223372036854775807", uuidA + "x:1",
		uuidA + ":" + strings.Repeat("t", 33) + ":1", "3e11fa47x71ca-11e1-9e33-c80aa9429562:1", uuidA + ":+1",
	} {
		if s, err := ParseGTIDSet(text); err == nil {
			t.Errorf("%q is read as %q", text, s)
		}
	}
}

func TestGTIDSetArithmetic(t *testing.T) {
	a := mustSet(t, uuidA+":1-10:20-30:tag:5,"+uuidB+":7")
	for _, c := range []struct {
		other                string
		subset, superset     bool
		minus, reverse, both string
	}{
		{"", false, true, a.String(), "", a.String()},
		{a.String(), true, true, "", "", a.String()},
		{uuidA + ":2-3:25", false, true, uuidA + ":1:4-10:20-24:26-30:tag:5," + uuidB + ":7", "", a.String()},
		{uuidA + ":5-25", false, false, uuidA + ":1-4:26-30:tag:5," + uuidB + ":7", uuidA + ":11-19", uuidA + ":1-30:tag:5," + uuidB + ":7"},
		{uuidA + ":tag:1-9", false, false, uuidA + ":1-10:20-30," + uuidB + ":7", uuidA + ":tag:1-4:6-9", uuidA + ":1-10:20-30:tag:1-9," + uuidB + ":7"},
		{uuidA + ":1-100:tag:1-100," + uuidB + ":1-100", true, false, "", uuidA + ":11-19:31-100:tag:1-4:6-100," + uuidB + ":1-6:8-100", uuidA + ":1-100:tag:1-100," + uuidB + ":1-100"},
	} {
		b := mustSet(t, c.other)
		union := a.Clone()
		union.Union(b)
		if a.IsSubset(b) != c.subset || b.IsSubset(a) != c.superset || a.Minus(b).String() != c.minus || b.Minus(a).String() != c.reverse || union.String() != c.both {
			t.Errorf("with %q: subset %t, superset %t, minus %q, reverse %q, union %q", c.other, a.IsSubset(b), b.IsSubset(a), a.Minus(b), b.Minus(a), union)
		}
	}
}

func TestLastOfAServer(t *testing.T) {
	for set, want := range map[string]string{
		uuidA + ":1-10:20-30:tag:50," + uuidB + ":70": uuidA + ":30",
		uuidA + ":7": uuidA + ":7",
		"":           "", uuidB + ":1-5": "", uuidA + ":tag:1": "",
	} {
		uuid, err := ParseUUID(uuidA)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := mustSet(t, set).Last(uuid)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("the last of %q is %s, %t, want %q", set, got, ok, want)
		}
	}
}

// A set of numbers is a map from numbers to whether they are in it.
func TestGTIDSetIsASetOfGTIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.Custom(func(t *rapid.T) GTID {
			tag, _ := ParseTag(rapid.SampledFrom([]string{"", "", "x"}).Draw(t, "tag"))
			return GTID{UUID{rapid.Byte().Draw(t, "uuid") % 3}, tag, rapid.Uint64Range(1, 12).Draw(t, "gno")}
		})
		set, other := &GTIDSet{}, &GTIDSet{}
		model, otherModel := map[GTID]bool{}, map[GTID]bool{}
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			g := draw.Draw(t, "gtid")
			if rapid.Bool().Draw(t, "other") {
				other.Add(g)
				otherModel[g] = true
				continue
			}
			if set.Add(g) == model[g] {
				t.Fatalf("adding %s says %t", g, model[g])
			}
			model[g] = true
		}
		union, minus := set.Clone(), set.Minus(other)
		union.Union(other)
		subset := true
		for uuid := range byte(3) {
			for _, text := range []string{"", "x"} {
				tag, _ := ParseTag(text)
				for gno := range uint64(14) {
					g := GTID{UUID{uuid}, tag, gno}
					subset = subset && (!model[g] || otherModel[g])
					if set.Contains(g) != model[g] || union.Contains(g) != (model[g] || otherModel[g]) || minus.Contains(g) != (model[g] && !otherModel[g]) {
						t.Fatalf("%s in %s, union %s, minus %s", g, set, union, minus)
					}
				}
			}
		}
		if set.IsSubset(other) != subset || minus.Empty() != subset {
			t.Fatalf("%s in %s: %t", set, other, !subset)
		}
		if again, err := ParseGTIDSet(set.String()); err != nil || !again.Equal(set) {
			t.Fatalf("%s read again is %v, %v", set, again, err)
		}
	})
}

func TestAddingInOrderAllocatesNothing(t *testing.T) {
	set := mustSet(t, uuidA+":1-5:tag:1,"+uuidB+":1")
	a, _ := ParseUUID(uuidA)
	g := GTID{UUID: a, GNO: 6}
	if n := testing.AllocsPerRun(100, func() { set.Add(g); g.GNO++ }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got := set.String(); got != uuidA+":1-106:tag:1,"+uuidB+":1" {
		t.Error(got)
	}
}

// What both read, both print alike. The library keeps no tags apart that differ in case, takes GTIDs from zero and intervals that
// run backwards, and its text has other line breaks; those texts are left out.
func compareGTIDSets(t *testing.T, text string) {
	ours, err := ParseGTIDSet(text)
	if err != nil {
		return
	}
	if again, err := ParseGTIDSet(ours.String()); err != nil || !again.Equal(ours) {
		t.Fatalf("%q is %q, which is read as %v, %v", text, ours, again, err)
	}
	b, _ := ours.AppendBinary(nil)
	decoded, err := DecodeGTIDSet(b)
	if err != nil || !decoded.Equal(ours) {
		t.Fatalf("%q through bytes is %v, %v", ours, decoded, err)
	}
	theirs, err := mysql.ParseMysqlGTIDSet(ours.String())
	if err != nil {
		t.Fatalf("library: %q: %v", ours, err)
	}
	set := theirs.(*mysql.MysqlGTIDSet)
	if encoded := set.Encode(); !ours.Tagged() && !bytes.Equal(sorted(encoded), b) {
		t.Fatalf("%q is %x, library %x", ours, b, encoded)
	}
	if back := mustSet(t, theirs.String()); !back.Equal(ours) {
		t.Fatalf("%q, library %q", ours, theirs)
	}
}

// sorted brings a set that the library encoded into the order of its uuids.
func sorted(encoded []byte) []byte {
	set, err := DecodeGTIDSet(encoded)
	if err != nil {
		return nil
	}
	b, _ := set.AppendBinary(nil)
	return b
}

func FuzzGTIDSet(f *testing.F) {
	for _, seed := range []string{"", uuidA + ":1", uuidA + ":1-5:7,\n" + uuidB + ":2", uuidA + ":tag:1-3:5:b:9", "0-1-100,1-2-3", uuidA + ":5-7:1-3:4"} {
		f.Add([]byte(seed))
		if s, err := ParseGTIDSet(seed); err == nil {
			b, _ := s.AppendBinary(nil)
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		compareGTIDSets(t, string(b))
		if set, err := DecodeGTIDSet(b); err == nil {
			compareGTIDSets(t, set.String())
		}
		if pos, err := ParseMariaPos(string(b)); err == nil {
			if again, err := ParseMariaPos(pos.String()); err != nil || !again.Equal(pos) {
				t.Fatalf("%q is %q", b, pos)
			}
		}
	})
}

func TestMariaPosition(t *testing.T) {
	p, err := ParseMariaPos("1-2-3, 0-1-100")
	if err != nil || p.String() != "0-1-100,1-2-3" {
		t.Fatalf("%v, %v", p, err)
	}
	older := p.Clone()
	p.Add(MariaGTID{0, 7, 101})
	p.Add(MariaGTID{5, 1, 1})
	if p.String() != "0-7-101,1-2-3,5-1-1" || !older.IsSubset(p) || p.IsSubset(older) || !p.Contains(MariaGTID{0, 1, 50}) || p.Contains(MariaGTID{2, 1, 1}) {
		t.Errorf("%s after %s", p, older)
	}
	p.Add(MariaGTID{0, 1, 90})
	if p.Contains(MariaGTID{0, 7, 101}) {
		t.Error("the last transaction of a domain does not count")
	}
	for _, text := range []string{"0-1", "0-1-1,0-1-2", "x", "0-1-1,", "4294967296-1-1", "0-1-18446744073709551616", "0-1-1-1", "-1-1-1"} {
		if p, err := ParseMariaPos(text); err == nil {
			t.Errorf("%q is read as %q", text, p)
		}
	}
}

func BenchmarkGTIDSetAdd(b *testing.B) {
	set := mustSet(b, uuidA+":1-5,"+uuidB+":1-7")
	uuid, _ := ParseUUID(uuidB)
	g := GTID{UUID: uuid, GNO: 8}
	b.ReportAllocs()
	for b.Loop() {
		set.Add(g)
		g.GNO++
	}
}
