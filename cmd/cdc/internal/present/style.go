package present

// Style colours text, or leaves it alone. The zero Style leaves it alone.
type Style struct {
	// Color is on for terminals whose owner did not ask for none.
	Color bool
}

const reset = "\x1b[0m"

// Bold is text that stands out.
func (s Style) Bold(text string) string { return s.wrap("\x1b[1m", text) }

// Dim is text that stands back.
func (s Style) Dim(text string) string { return s.wrap("\x1b[2m", text) }

// Red is text about a loss or a failure.
func (s Style) Red(text string) string { return s.wrap("\x1b[31m", text) }

// Green is text about a gain or a success.
func (s Style) Green(text string) string { return s.wrap("\x1b[32m", text) }

// Yellow is text about a change or a warning.
func (s Style) Yellow(text string) string { return s.wrap("\x1b[33m", text) }

// Cyan is text about a place or a name.
func (s Style) Cyan(text string) string { return s.wrap("\x1b[36m", text) }

func (s Style) wrap(code, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return code + text + reset
}
