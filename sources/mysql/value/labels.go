package value

import (
	"fmt"
	"unicode/utf8"

	"cdc/schema"
)

var errLabel = fmt.Errorf("%w: a number beyond the labels", ErrImage)

// labels are those of an enum or set.
type labels struct {
	names []string
	isSet bool // of a set, whose number has a bit for each label
	// zero stands for the number 0: an enum's invalid value or an empty set.
	zero string
}

// zeroBesideEmpty is the text of the number 0 where the empty text is a label itself.
const zeroBesideEmpty = "\x00"

// newLabels makes the number 0, which the servers print as an empty text, one NUL byte where ” is a label, so that the two stay
// different values. The labels themselves are as the servers print them.
func newLabels(names []string, isSet bool) *labels {
	l := &labels{names: names, isSet: isSet}
	for _, name := range names {
		if name == "" {
			l.zero = zeroBesideEmpty
		}
	}
	return l
}

func (l *labels) valid() bool {
	for _, name := range l.names {
		if !utf8.ValidString(name) {
			return false
		}
	}
	return true
}

// set sets a column to the label or labels of a number.
func (l *labels) set(b *schema.Builder, i int, number uint64) error {
	switch {
	case number == 0:
		b.String(i, l.zero)
	case l.isSet:
		if len(l.names) < maxSetLabels && number>>len(l.names) != 0 {
			return errLabel
		}
		b.Variable(i, func(dst []byte) []byte { return l.join(dst, number) })
	case number > uint64(len(l.names)):
		return errLabel
	default:
		b.String(i, l.names[number-1])
	}
	return nil
}

// join writes the labels whose bits are set.
func (l *labels) join(dst []byte, number uint64) []byte {
	first := true
	for n, name := range l.names {
		if number>>n&1 == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		dst, first = append(dst, name...), false
	}
	return dst
}
