package envelope

import "fmt"

// fault keeps why a value could not be read, as a column's write has no error of its own: one in ten thousand kinds of values can be
// wrong.
type fault struct{ err error }

func (f *fault) set(what, text string) {
	const shown = 100
	if f.err != nil {
		return
	}
	if len(text) > shown {
		text = text[:shown] + "…"
	}
	f.err = fmt.Errorf("the log holds %q, which is no %s as PostgreSQL prints it", text, what)
}

// take is the fault since the last call.
func (f *fault) take() error {
	err := f.err
	f.err = nil
	return err
}
