package mysql

import "regexp"

// What an ALTER TABLE drops or adds that is no column. A word in a text or a comment counts, too: then a table is copied again for
// nothing, while a column that was missed would keep the values of another.
var (
	dropWord  = regexp.MustCompile(`(?i)\bDROP\b`)
	dropOther = regexp.MustCompile(`(?i)\bDROP\s+(INDEX|KEY|PRIMARY|FOREIGN|CONSTRAINT|CHECK|PARTITION|DEFAULT|SYSTEM|PERIOD)\b`)
	addWord   = regexp.MustCompile(`(?i)\bADD\b`)
	addOther  = regexp.MustCompile(`(?i)\bADD\s+(INDEX|KEY|UNIQUE|FULLTEXT|SPATIAL|PRIMARY|FOREIGN|CONSTRAINT|CHECK|PARTITION|SYSTEM|PERIOD)\b`)
)

// dropsColumn reports whether the statement may drop a column.
func dropsColumn(text []byte) bool { return count(dropWord, text) > count(dropOther, text) }

// addsColumn reports whether the statement may add a column.
func addsColumn(text []byte) bool { return count(addWord, text) > count(addOther, text) }

func count(r *regexp.Regexp, text []byte) int { return len(r.FindAllIndex(text, -1)) }
