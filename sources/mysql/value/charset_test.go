package value

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"go/format"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

var rewrite = flag.Bool("rewrite", false, "write the tables of character sets and collations that the servers have")

// unicodeCharsets have no table.
var unicodeCharsets = []string{"binary", "utf8mb4", "utf8mb3", "ucs2", "utf16", "utf16le", "utf32"}

// byteTables makes tables one, two, three and four of all byte sequences that may be a character.
func byteTables(c *conn) {
	all := make([]string, 256)
	for i := range all {
		all[i] = fmt.Sprintf("(x'%02x')", i)
	}
	for _, name := range []string{"one", "two", "three", "four", "pairs"} {
		c.exec("CREATE TABLE " + name + " (b VARBINARY(4) PRIMARY KEY)")
	}
	c.exec("INSERT INTO one VALUES " + strings.Join(all, ","))
	c.exec("INSERT INTO two SELECT CONCAT(a.b, z.b) FROM one a, one z WHERE a.b >= x'80'")
	c.exec("INSERT INTO three SELECT CONCAT(x'8f', b) FROM two WHERE b >= x'8080' AND SUBSTR(b, 2) >= x'80'")
	c.exec("INSERT INTO pairs SELECT b FROM two WHERE b >= x'8130' AND b <= x'FE39' AND SUBSTR(b, 2) BETWEEN x'30' AND x'39'")
	c.exec("INSERT INTO four SELECT CONCAT(a.b, z.b) FROM pairs a, pairs z WHERE a.b <= x'8431'")
}

// converted calls f with every sequence of the table that is one character of the set, and the character.
func converted(c *conn, table, charset, where string, f func(code []byte, r rune)) {
	rows := c.rows(fmt.Sprintf("SELECT b, CONVERT(CONVERT(b USING %[1]s) USING utf8mb4) FROM %[2]s WHERE CHAR_LENGTH(CONVERT(b USING %[1]s)) = 1 AND CAST(CONVERT(b USING %[1]s) AS BINARY) = b %[3]s",
		charset, table, where))
	for _, row := range rows {
		text := row[1]
		r, size := utf8.DecodeRune(text)
		switch {
		case text == nil || size != len(text) || r == utf8.RuneError && size == 1:
			continue // not a character, or half of a surrogate pair
		case r == '?' && !bytes.Equal(row[0], []byte{'?'}), r == utf8.RuneError && charset != "gb18030":
			continue // the server has no character for it
		}
		f(row[0], r)
	}
}

// askTable makes the table of a character set from what a server converts.
func askTable(t *testing.T, c *conn, name string, width int) *cellTable {
	t.Helper()
	table := &cellTable{name: name, width: width, cells: make([]uint16, map[int]int{1: pairCells, 2: tripleCells, 3: tripleEnd, 4: quadEnd}[width])}
	set := func(cell int, r rune) {
		if r > 0xffff {
			t.Fatalf("%s: U+%X is out of the table", name, r)
		}
		table.cells[cell] = uint16(r)
	}
	converted(c, "one", name, "", func(b []byte, r rune) { set(int(b[0]), r) })
	if width > 1 {
		converted(c, "two", name, "", func(b []byte, r rune) { set(pairCells+int(b[0]-0x80)<<8+int(b[1]), r) })
	}
	switch width {
	case 3:
		converted(c, "three", name, "", func(b []byte, r rune) { set(tripleCells+int(b[1]-0x80)<<7+int(b[2]-0x80), r) })
	case 4:
		converted(c, "four", name, "AND b < x'8431A530'", func(b []byte, r rune) {
			number, _ := quadNumber(b)
			set(quadCells+number, r)
		})
	}
	return table
}

// TestCharsetTables compares the table of every character set with what the servers convert, every byte sequence of it.
func TestCharsetTables(t *testing.T) {
	tables := map[string]*cellTable{}
	eachServer(t, func(t *testing.T, s *server) {
		c, _ := s.database(t)
		byteTables(c)
		// A strict MySQL gives null for what is no text, where it else cuts it off.
		c.exec("SET NAMES utf8mb4, character_set_results = NULL, sql_mode = 'STRICT_ALL_TABLES'")
		for _, row := range c.rows("SELECT CHARACTER_SET_NAME, MAXLEN FROM information_schema.CHARACTER_SETS ORDER BY 1") {
			name := string(row[0])
			if slices.Contains(unicodeCharsets, name) {
				continue
			}
			width, _ := strconv.Atoi(string(row[1]))
			table := askTable(t, c, name, width)
			if other := tables[name]; other != nil && !slices.Equal(other.cells, table.cells) {
				reportCells(t, name+" of the two servers", other.cells, table.cells)
			}
			tables[name] = table
		}
	})
	if *rewrite && len(tables) > 0 {
		writeTables(t, tables)
		return
	}
	committed := map[string]*cellTable{}
	for _, cs := range readTables() {
		committed[cs.name] = cs
	}
	points := 0
	for name, table := range tables {
		ours := committed[name]
		if ours == nil || ours.width != table.width {
			t.Errorf("%s: no such table", name)
			continue
		}
		if !slices.Equal(ours.cells, table.cells) {
			reportCells(t, name, ours.cells, table.cells)
		}
		for _, c := range table.cells {
			if c != 0 {
				points++
			}
		}
	}
	t.Logf("%d character sets, %d characters", len(tables), points)
}

func reportCells(t *testing.T, name string, a, b []uint16) {
	t.Helper()
	shown := 0
	for i := range a {
		if a[i] != b[i] {
			if shown++; shown <= 20 {
				t.Errorf("%s: cell %#x is U+%04X and U+%04X", name, i, a[i], b[i])
			}
		}
	}
	t.Errorf("%s: %d cells differ", name, shown)
}

// readTables unpacks charset.bin.
func readTables() (tables []*cellTable) {
	for file := charsetFile; len(file) > 0; {
		name := string(file[1 : 1+file[0]])
		file = file[1+file[0]:]
		size := binary.LittleEndian.Uint32(file[1:])
		tables = append(tables, unpackTable(name, int(file[0]), file[5:5+size]))
		file = file[5+size:]
	}
	return tables
}

func writeTables(t *testing.T, tables map[string]*cellTable) {
	t.Helper()
	names := make([]string, 0, len(tables))
	for name := range tables {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []byte
	for _, name := range names {
		packed := tables[name].pack()
		out = append(append(out, byte(len(name))), name...)
		out = binary.LittleEndian.AppendUint32(append(out, byte(tables[name].width)), uint32(len(packed)))
		out = append(out, packed...)
	}
	if err := os.WriteFile("charset.bin", out, 0o644); err != nil {
		t.Fatal(err)
	}
}

// pointsPerQuery is how many characters go to the server at once.
const pointsPerQuery = 1 << 13

// TestEveryCodePointOfUnicode lets the servers write every code point in each character set that has them all, and reads it back.
func TestEveryCodePointOfUnicode(t *testing.T) {
	eachServer(t, func(t *testing.T, s *server) {
		c, _ := s.database(t)
		c.exec("SET character_set_results = NULL, sql_mode = 'STRICT_ALL_TABLES'")
		names := []string{"utf8mb4", "utf8mb3", "ucs2", "utf16", "utf16le", "utf32"}
		if !s.mariadb() {
			names = append(names, "gb18030")
		}
		points := 0
		for _, name := range names {
			last := rune(utf8.MaxRune)
			if name == "ucs2" || name == "utf8mb3" {
				last = 0xffff
			}
			cs := charsetNamed(name)
			for from := rune(0); from <= last; from += pointsPerQuery {
				var text []byte
				for r := from; r < from+pointsPerQuery; r++ {
					if utf8.ValidRune(r) {
						text = utf8.AppendRune(text, r)
						points++
					}
				}
				if len(text) == 0 {
					continue
				}
				written := c.rows(fmt.Sprintf("SELECT CONVERT(_utf8mb4 x'%x' USING %s)", text, name))[0][0]
				got, err := cs.appendUTF8(nil, written)
				if err != nil || !bytes.Equal(got, text) {
					t.Errorf("%s: U+%X and on: %v", name, from, err)
				}
			}
		}
		t.Logf("%s: %d characters of %d character sets", s.flavor, points, len(names))
	})
}

// TestBytesWithoutACharacterAreNamed has what columns can hold and no text is.
func TestBytesWithoutACharacterAreNamed(t *testing.T) {
	for name, texts := range map[string][]string{
		"utf8mb4": {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe6\x97"},
		"utf8mb3": {"\xed\xa0\x80"},
		"ascii":   {"\x80", "a\xff"},
		"cp1250":  {"\x81", "abcdefgh\x81"},
		"ucs2":    {"a", "\xd8\x00", "\x00a\xdc\x00"},
		"utf16":   {"\xd8\x00", "\xdc\x00\xd8\x00", "\xd8\x00\x00a", "\x00"},
		"utf16le": {"\x00\xd8", "a"},
		"utf32":   {"\x00\x00\xd8\x00", "\x00\x11\x00\x00", "\x00\x00a"},
		"gbk":     {"\x81", "a\xff\xff", "\xa2\xa0"},
		"ujis":    {"\x8f\xa1", "\x8f\xa1\xa1\x80", "\x8e"},
		"gb18030": {"\x81", "\x81\x30\x81", "\xfe\x39\xfe\x39", "\x81\x30\x81\x3a"},
	} {
		for _, text := range texts {
			got, err := charsetNamed(name).appendUTF8([]byte("prefix"), []byte(text))
			if !errors.Is(err, ErrCharset) || string(got) != "prefix" {
				t.Errorf("%s: %x became %q, %v", name, text, got, err)
			}
		}
	}
}

// TestCollationTable compares the character set of every collation with the servers'.
func TestCollationTable(t *testing.T) {
	servers := map[uint16]string{}
	eachServer(t, func(t *testing.T, s *server) {
		c, _ := s.database(t)
		from := "COLLATIONS"
		if s.mariadb() {
			from = "COLLATION_CHARACTER_SET_APPLICABILITY"
		}
		for _, row := range c.rows("SELECT ID, CHARACTER_SET_NAME FROM information_schema." + from + " WHERE ID > 0") {
			id, err := strconv.ParseUint(string(row[0]), 10, 16)
			if err != nil {
				t.Fatal(err)
			}
			name := string(row[1])
			if other, ok := servers[uint16(id)]; ok && other != name {
				t.Errorf("collation %d is of %s and of %s", id, other, name)
			}
			servers[uint16(id)] = name
		}
	})
	if *rewrite && len(servers) > 0 {
		writeCollations(t, servers)
		return
	}
	for id, name := range servers {
		cs := charsetOf(id)
		if cs == nil || cs.name != name {
			t.Errorf("collation %d: %v, want %s", id, cs, name)
		}
	}
	t.Logf("%d collations", len(servers))
}

func writeCollations(t *testing.T, names map[uint16]string) {
	t.Helper()
	var ranges []collationRange
	for id := range 1 << 16 {
		name, ok := names[uint16(id)]
		if !ok {
			continue
		}
		if n := len(ranges); n > 0 && int(ranges[n-1].last) == id-1 && ranges[n-1].charset == name {
			ranges[n-1].last = uint16(id)
			continue
		}
		ranges = append(ranges, collationRange{uint16(id), uint16(id), name})
	}
	var b bytes.Buffer
	b.WriteString("// Code generated by go test -run TestCollationTable -rewrite from the collations of MySQL and MariaDB. DO NOT EDIT.\n\n")
	b.WriteString("package value\n\nvar collations = []collationRange{\n")
	for _, r := range ranges {
		fmt.Fprintf(&b, "{%d, %d, %q},\n", r.first, r.last, r.charset)
	}
	b.WriteString("}\n")
	source, err := format.Source(b.Bytes())
	if err == nil {
		err = os.WriteFile("collation_gen.go", source, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
