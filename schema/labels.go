package schema

import "strings"

// Labels are those of a MySQL column whose SQL type is enum('a','b') or set('a','b'), which are quoted as the servers do it in COLUMN_TYPE of
// information_schema; false when they cannot be read.
func Labels(sqlType string) (labels []string, ok bool) {
	_, rest, ok := strings.Cut(sqlType, "(")
	for ok {
		var label string
		label, rest, ok = cutLabel(rest)
		labels = append(labels, label)
		switch {
		case !ok:
		case strings.HasPrefix(rest, ")"):
			return labels, true
		default:
			rest, ok = strings.CutPrefix(rest, ",")
		}
	}
	return nil, false
}

// cutLabel takes one label and its quotes off the text.
func cutLabel(text string) (label, rest string, ok bool) {
	text, ok = strings.CutPrefix(text, "'")
	if !ok {
		return "", "", false
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\'':
			if i+1 == len(text) || text[i+1] != '\'' {
				return b.String(), text[i+1:], true
			}
			i++
			b.WriteByte(c)
		case '\\':
			i++
			if i == len(text) {
				return "", "", false
			}
			b.WriteByte(unescapedLabel(text[i]))
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

func unescapedLabel(c byte) byte {
	switch c {
	case '0':
		return 0
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	}
	return c
}
