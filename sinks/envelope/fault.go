package envelope

import (
	"fmt"

	"cdc/changelog"
	"cdc/sinks"
)

// fault keeps why a value could not be published, as a column's write has no error of its own: few can fail.
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

// noNumber keeps that a decimal which may not be null is NaN or infinite.
func (f *fault) noNumber() {
	if f.err == nil {
		f.err = &sinks.Stop{
			Kind:   changelog.StopSchema,
			Detail: "a numeric that is not null is NaN or an infinity, which neither Connect's Decimal nor Avro's can be",
			Remedy: `publish decimals as "string" or "double", or allow null in the column`,
		}
	}
}

// take is the fault since the last call.
func (f *fault) take() error {
	err := f.err
	f.err = nil
	return err
}
