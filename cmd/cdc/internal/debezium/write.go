package debezium

import (
	"fmt"
	"strconv"
	"strings"
)

// YAML is the translation as a file for cdc run -c.
func (t *Translation) YAML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sources:\n  %s:\n", t.Source)
	writeSettings(&b, t.SourceSettings)
	fmt.Fprintf(&b, "sinks:\n  %s:\n", t.Sink)
	writeSettings(&b, t.SinkSettings)
	return b.String()
}

func writeSettings(b *strings.Builder, settings []Setting) {
	for _, s := range settings {
		if s.Key != "tables" {
			fmt.Fprintf(b, "    %s: %s\n", s.Key, quoted(s.Values[0]))
			continue
		}
		fmt.Fprintf(b, "    %s:\n", s.Key)
		for _, v := range s.Values {
			fmt.Fprintf(b, "      - %s\n", quoted(v))
		}
	}
}

// quoted is a text as YAML reads it back: plain where nothing in it could mean anything else.
func quoted(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 && text[0] != '-' && text[len(text)-1] != ':' {
		return text
	}
	return strconv.Quote(text)
}
